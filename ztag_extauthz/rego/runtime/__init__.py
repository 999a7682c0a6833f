"""What compiled policies call."""
