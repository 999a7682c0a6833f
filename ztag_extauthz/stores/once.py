"""What may be shown once only: in this process, or over all workers and replicas in Redis."""

from collections.abc import Callable
from hashlib import sha1
from typing import Protocol

from ztag_extauthz.errors import UnavailableError
from ztag_extauthz.stores.redis import RedisStore

_SCRIPT = "return redis.call('SET', KEYS[1], '', 'NX', 'PX', ARGV[1])"
_DIGEST = sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()
_PREFIX = b"ztag:once:"
SKEW = 1.0
"""Seconds by which one reading of a clock may be behind another."""
_NEVER = (0.0, 0.0)


class Once(Protocol):
    """Remembers what was shown."""

    async def first(self, key: bytes, seconds: float) -> bool:
        """Return whether a key is shown for the first time in so many seconds.

        Raises `UnavailableError` where nobody can say; that is no yes.
        """

    def start(self) -> None:
        """Begin to connect."""

    async def close(self) -> None:
        """Let go of connections."""


class MemoryOnce:
    """What was shown to this one process."""

    def __init__(self, max_entries: int, clock: Callable[[], float]) -> None:
        """`clock` in seconds."""
        self._max_entries = max_entries
        self._clock = clock
        self._shown: dict[bytes, tuple[float, float]] = {}
        """When each was shown, and until when that counts."""

    async def first(self, key: bytes, seconds: float) -> bool:
        now = self._clock()
        if self._shown.get(key, _NEVER)[1] > now:
            return False
        if len(self._shown) >= self._max_entries:
            # What was shown at a time that is still to come was shown before the clock was set back.
            self._shown = {old: span for old, span in self._shown.items() if span[0] <= now + SKEW and now < span[1]}
            if len(self._shown) >= self._max_entries:
                # To forget one would be to let it be shown again.
                raise UnavailableError("too many one-time values at once to remember them all")
        self._shown[key] = now, now + seconds
        return True

    def start(self) -> None:
        """Nothing is to be opened."""

    async def close(self) -> None:
        """Nothing was opened."""


class RedisOnce:
    """What was shown to any worker of any replica."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store

    async def first(self, key: bytes, seconds: float) -> bool:
        answer = await self._store.run(_SCRIPT, _DIGEST, (_PREFIX + key,), (int(seconds * 1000) + 1,))
        return answer is not None

    def start(self) -> None:
        """Connect to Redis in the background."""
        self._store.start()

    async def close(self) -> None:
        await self._store.close()
