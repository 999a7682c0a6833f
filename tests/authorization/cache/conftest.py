"""The Redis of the stores' tests."""

from tests.stores.conftest import redis, redis_cluster

__all__ = ["redis", "redis_cluster"]
