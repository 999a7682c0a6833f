"""The settings of the cache."""

from pydantic import Field

from ztag_extauthz.authorization.cache.shared import LONGEST, CacheRedisSettings
from ztag_extauthz.section import Seconds, Section


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
