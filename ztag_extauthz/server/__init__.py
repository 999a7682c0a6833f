"""Bytes in, bytes out: two gRPC engines around one core, health, and the admin listener."""
