"""What `make loadtest` measures, a file each, and the generators that ask."""
