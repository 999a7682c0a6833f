"""How many requests there may be: over time and at once, on one node and over all replicas."""
