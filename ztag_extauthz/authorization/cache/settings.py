"""The settings of the cache."""

from typing import ClassVar

from pydantic import Field

from ztag_extauthz.section import Seconds, Section
from ztag_extauthz.stores.redis import RedisServer
from ztag_extauthz.stores.seal import SharedSecret

LONGEST = 3600.0
"""Seconds that an answer lives at most, and that everybody remembers what is to be forgotten."""


class CacheRedisSettings(SharedSecret, RedisServer):
    """Share answers with all replicas, and hear from all of them what is to be forgotten."""

    prefix: ClassVar[str] = "cache.redis."

    timeout: Seconds = 0.02
    """Seconds for an answer; later means down. A request that has less than twice as long left does not ask."""
    interval: Seconds = Field(default=0.2, le=1)
    """Seconds between two looks at what is to be forgotten."""
    max_stale: Seconds = Field(default=5.0, ge=1, le=3600)
    """Seconds that an answer lives at most while Redis cannot be asked what is to be forgotten."""
    clock_tolerance: Seconds = Field(default=1.0, le=60)
    """Seconds that the clock of a node and that of Redis may differ. A node that differs more does not share answers;
    after `ztag forget` nothing of what is meant is remembered for as long."""


class CacheSettings(Section):
    """Remember the policy's answers. The key is derived from what the policy reads: see `ztag policy reads`."""

    ttl: Seconds = Field(default=60.0, le=LONGEST)
    """Seconds that an answer lives; less where the token ends before, or where a rule states less
    (`# METADATA`, `custom: {ztag: {ttl: 5s}}`)."""
    entries: int = Field(default=1 << 14, ge=16, le=1 << 22)
    """Answers that the workers of a node share."""
    entry_bytes: int = Field(default=512, ge=256, le=1 << 16)
    """Bytes of shared memory that each of them takes; a larger answer is remembered by its worker alone."""
    worker_bytes: int = Field(default=8 << 20, ge=0, le=1 << 34)
    """Bytes that each worker spends on answers of its own, which are at hand sooner; 0: none."""
    tenant_claim: str | None = Field(default=None, min_length=1)
    """The claim that names the tenant, so that a tenant's answers can be forgotten at once."""
    redis: CacheRedisSettings | None = None
    """Left out: answers are shared by the workers of a node, and `ztag forget` tells them there."""
