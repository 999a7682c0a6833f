"""What outlives a request: shared memory of one node, and Redis between nodes."""
