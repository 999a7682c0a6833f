"""What the replicas share of the cache: the settings, and the parts that they build."""

from collections.abc import Callable
from pathlib import Path
from time import time
from typing import TYPE_CHECKING

from pydantic import Field

from ztag_extauthz.component import Resources
from ztag_extauthz.errors import SettingsError
from ztag_extauthz.section import Seconds
from ztag_extauthz.stores.redis import RedisServer
from ztag_extauthz.stores.seal import SharedSecret

if TYPE_CHECKING:
    from ztag_extauthz.authorization.cache.forgetting import Forgetting
    from ztag_extauthz.authorization.cache.heard import Heard
    from ztag_extauthz.authorization.cache.replicas import Replicas
    from ztag_extauthz.stores.journal import RedisJournal

LONGEST = 3600.0
"""Seconds that an answer lives at most, and that everybody remembers what is to be forgotten."""
NODE_INTERVAL = 0.1
"""Seconds between two looks at what is to be forgotten on this node."""
NODE_SILENCE = 1.0
"""Seconds that looking there may fail."""


class CacheRedisSettings(SharedSecret, RedisServer):
    """Share answers with all replicas, and hear from all of them what is to be forgotten."""

    timeout: Seconds = 0.02
    """Seconds for an answer; later means down. A request that has less than twice as long left does not ask."""
    interval: Seconds = Field(default=0.2, le=1)
    """Seconds between two looks at what is to be forgotten."""
    max_stale: Seconds = Field(default=5.0, ge=1, le=3600)
    """Seconds that an answer lives at most while Redis cannot be asked what is to be forgotten."""
    clock_tolerance: Seconds = Field(default=1.0, le=60)
    """Seconds that the clock of a node and that of Redis may differ. A node that differs more does not share answers;
    after `ztag forget` nothing of what is meant is remembered for as long."""

    def key(self, folder: Path) -> bytes:
        """See `SharedSecret.key`."""
        try:
            return super().key(folder)
        except SettingsError as error:
            raise SettingsError(error.of("cache.redis")) from error


def journal(
    settings: CacheRedisSettings, folder: Path, clock: Callable[[], float] = time
) -> "RedisJournal[Forgetting]":
    """Return what replicas with the same settings share of what is to be forgotten; nothing is connected yet.

    Raises `SettingsError`.
    """
    from ztag_extauthz.authorization.cache.forgetting import Forgetting  # noqa: PLC0415 - only where there is a Redis
    from ztag_extauthz.stores.journal import RedisJournal, within  # noqa: PLC0415
    from ztag_extauthz.stores.seal import Seal  # noqa: PLC0415

    seal = Seal(settings.key(folder), b"ztag forgotten", Forgetting)
    return RedisJournal("forgotten", settings, seal, within(settings.clock_tolerance, clock))


def forgotten(settings: CacheRedisSettings | None, resources: Resources) -> "Heard":
    """Build what hears of what is to be forgotten: from all replicas, or without Redis on this node."""
    from ztag_extauthz.authorization.cache.forgetting import BLOCK, SIZE, NodeJournal  # noqa: PLC0415
    from ztag_extauthz.authorization.cache.heard import Heard  # noqa: PLC0415

    if settings is None:
        block = NodeJournal(resources.memory(BLOCK, SIZE))
        return Heard(block, resources.clock, resources.meter, interval=NODE_INTERVAL, max_stale=NODE_SILENCE)
    return Heard(
        journal(settings, resources.folder, resources.clock),
        resources.clock,
        resources.meter,
        interval=settings.interval,
        max_stale=settings.max_stale,
        margin=settings.clock_tolerance,
    )


def answers(settings: CacheRedisSettings, heard: "Heard", resources: Resources) -> "Replicas":
    """Build what asks Redis for answers; it connects when it is started."""
    from ztag_extauthz.authorization.cache.replicas import Replicas  # noqa: PLC0415 - only where there is a Redis

    return Replicas(settings, heard.hears, resources)
