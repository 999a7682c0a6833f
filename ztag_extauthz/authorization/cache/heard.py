"""What a worker heard is to be forgotten, and how long it may go on without hearing anything.

While nothing can be heard, an answer counts for `max_stale` seconds. So one that is to be forgotten is given at most
that long, whether or not Redis is there: either the worker has heard of it, or the silence is shorter than that, or the
answer is younger.
"""

from collections.abc import Callable

from ztag_extauthz.authorization.cache.interface import Forgotten
from ztag_extauthz.authorization.cache.invalidation import BLOCK, SIZE, Invalidation, NodeJournal, journal
from ztag_extauthz.authorization.cache.settings import LONGEST, CacheRedisSettings
from ztag_extauthz.component import Resources
from ztag_extauthz.meter import Meter
from ztag_extauthz.stores.follower import Follower
from ztag_extauthz.stores.journal import Journal

NODE_INTERVAL = 0.1
"""Seconds between two looks at this node's journal."""
NODE_SILENCE = 1.0
"""Seconds that looking there may fail."""


class Heard(Forgotten):
    """Follows a journal of invalidations."""

    def __init__(  # noqa: PLR0913 - three durations
        self,
        journal: Journal[Invalidation],
        clock: Callable[[], float],
        meter: Meter,
        *,
        interval: float,
        max_stale: float,
        margin: float = 0.0,
    ) -> None:
        """`clock` in Unix seconds; the others in seconds, `margin` is what the clock and the journal's may differ."""
        self.follower = Follower("invalidations", journal, interval, clock, self._learn)
        self._clock = clock
        self._meter = meter
        self._max_stale = max_stale
        self._margin = margin
        self._newest = 0.0
        self._began_at = clock()

    @property
    def latest(self) -> float:  # type: ignore[override]
        """See `Forgotten`; what is silent too long counts as said."""
        return max(self._newest, self._floor())

    def since(self, tags: tuple[str, ...]) -> float:
        floor = self._floor()
        entries = self.follower.entries
        if not entries:
            return floor
        found = [entries[tag].before for tag in tags if tag in entries]
        return max(floor, max(found) + self._margin) if found else floor

    def hears(self) -> bool:
        """Return whether what is said now would be heard."""
        return not self.follower.why and not self._is_silent(self._clock())

    def _floor(self) -> float:
        """Return until when answers are none whatever is said."""
        now = self._clock()
        if self._is_silent(now):
            # What was there when we began may have been forgotten before; nobody has told us.
            return max(self._began_at, now - self._max_stale)
        return now - LONGEST

    def _is_silent(self, now: float) -> bool:
        # What was heard at a time that is still to come was heard before the clock was set back: nobody knows when.
        return abs(now - self.follower.heard_at) > self._max_stale

    def _learn(self, entry: Invalidation) -> None:
        self._newest = max(self._newest, entry.before + self._margin)
        self._meter.add(self._meter.series("ztag_cache_invalidations", entry.tag.partition(":")[0]))

    async def start(self) -> None:
        await self.follower.start()

    async def close(self) -> None:
        await self.follower.close()


def heard_by(settings: CacheRedisSettings | None, resources: Resources) -> Heard:
    """Build what hears all replicas, or without Redis this node. Raises `SettingsError`."""
    clock, meter = resources.clock, resources.meter
    if settings is None:
        node = NodeJournal(resources.memory(BLOCK, SIZE))
        return Heard(node, clock, meter, interval=NODE_INTERVAL, max_stale=NODE_SILENCE)
    return Heard(
        journal(settings, resources.folder, clock),
        clock,
        meter,
        interval=settings.interval,
        max_stale=settings.max_stale,
        margin=settings.clock_tolerance,
    )
