"""The report of `make loadtest`: figures, a page for people, and what the README repeats."""
