"""Who ztag is compared with, each configured at its best (docs/comparison.md)."""
