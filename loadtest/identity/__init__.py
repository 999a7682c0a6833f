"""What identity costs, and what it does when things go wrong: figures, measured where they are printed."""
