"""The Redis of the stores' tests."""

from tests.stores.conftest import redis

__all__ = ["redis"]
