"""The cache over replicas: a hit in Redis, a Redis that is down, and a master that is killed under load."""
