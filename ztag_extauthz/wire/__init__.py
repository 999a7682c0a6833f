"""Configuration for the programs that ask ztag, made from ztag's own settings."""
