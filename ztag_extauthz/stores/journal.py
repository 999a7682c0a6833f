"""Entries that everybody has to hear of, numbered: whoever missed some asks for those since the last it saw.

A Redis that lost them (it was restarted empty, or from an older copy; a replica took over that had not got the last
ones) does not know the last one by its number; whoever notices gives back all that it knows.
"""

import logging
from collections.abc import Callable, Hashable, Sequence
from hashlib import sha1
from secrets import token_hex
from time import monotonic
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Struct

from ztag_extauthz.errors import UnavailableError
from ztag_extauthz.stores.redis import RedisServer, RedisStore
from ztag_extauthz.stores.seal import Seal, SealError

LOG = logging.getLogger("ztag.journal")
PATIENCE = 0.5
"""Seconds that a journal waits for Redis at least: no request does, and to find the nodes of a cluster takes time."""
_NEW = """
local epoch = redis.call('GET', KEYS[3])
if not epoch then epoch = ARGV[1] redis.call('SET', KEYS[3], epoch) end
local from, number = ARGV[3], redis.call('GET', KEYS[2]) or '0'
if epoch ~= ARGV[2] or redis.call('ZSCORE', KEYS[1], ARGV[4]) ~= from then from = '0' end
return {epoch, number, from, redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. from, '+inf'), redis.call('TIME')}
"""
"""ARGV: an epoch for a Redis that has none; then the epoch, the number and the entry that were seen last. A number
alone would not do: a replica that took over without the last entries gives their numbers to others."""
_ADD = """
for place = 1, #ARGV do
  if not redis.call('ZSCORE', KEYS[1], ARGV[place]) then
    redis.call('ZADD', KEYS[1], redis.call('INCR', KEYS[2]), ARGV[place])
  end
end
"""
_DROP = """
local last = redis.call('GET', KEYS[2])
for place = 1, #ARGV do
  if redis.call('ZSCORE', KEYS[1], ARGV[place]) ~= last then redis.call('ZREM', KEYS[1], ARGV[place]) end
end
"""
"""The last entry stays: by it everybody knows that nothing was lost."""
_TIME = "return redis.call('TIME')"


class Entry(Protocol):
    """What a journal holds."""

    @property
    def key(self) -> Hashable:
        """What it is about; of two entries with one key, the one with the later `before` counts."""

    @property
    def before(self) -> float:
        """Unix seconds: what is later is not meant."""

    @property
    def until(self) -> float:
        """Unix seconds: then it means nothing any more."""


E = TypeVar("E", bound=Entry)


class News(Struct, Generic[E], frozen=True):
    """What is new in a journal."""

    entries: tuple[E, ...]
    lost: bool = False
    """The journal does not have what it had."""
    time: float | None = None
    """Unix seconds by the journal's own clock; None where it has none but the reader's."""


class Journal(Protocol[E]):
    """Reads on where it stopped. All methods raise `UnavailableError`."""

    async def news(self) -> News[E]:
        """Return what came since the last call; all there is, the first time and where something was lost."""

    async def add(self, entries: Sequence[E]) -> None:
        """Tell everybody."""

    async def drop(self, entries: Sequence[E]) -> None:
        """Forget what is over."""

    async def close(self) -> None:
        """Let go of connections."""


class RedisJournal(Generic[E]):
    """A journal of all replicas."""

    def __init__(
        self, name: str, settings: RedisServer, seal: Seal[E], check_time: Callable[[float], None] = lambda _: None
    ) -> None:
        """`check_time` gets Redis's time in Unix seconds before anything is read; it may raise `UnavailableError`."""
        self._name = name
        self._store = RedisStore(_patient(settings), monotonic)
        self._seal = seal
        self._check_time = check_time
        # One hash tag: in a cluster all three are on one node.
        self._keys = tuple(f"{{ztag:{name}}}{part}".encode() for part in ("", ":number", ":epoch"))
        self._epoch, self._number, self._last = b"", b"0", b""

    async def news(self) -> News[E]:
        seen = self._epoch, self._number, self._last
        epoch, number, begin, texts, time = await self._run(_NEW, token_hex(8), *seen)
        now = _seconds(time)
        self._check_time(now)
        lost = begin != self._number
        self._epoch, self._number = epoch, number
        if texts:
            self._last = texts[-1]
        return News(tuple(entry for entry in map(self._read, texts) if entry is not None), lost, now)

    async def add(self, entries: Sequence[E]) -> None:
        if entries:
            await self._run(_ADD, *map(self._seal.write, entries))

    async def secure(self) -> None:
        """Wait until the replicas of Redis have what was added last (see `RedisStore.secure`)."""
        await self._store.secure(self._keys[0])

    async def drop(self, entries: Sequence[E]) -> None:
        if entries:
            await self._run(_DROP, *map(self._seal.write, entries))

    async def time(self) -> float:
        """Return Redis's time in Unix seconds: the one clock that all who ask share."""
        return _seconds(await self._run(_TIME))

    async def close(self) -> None:
        await self._store.close()

    def _read(self, text: bytes) -> E | None:
        try:
            return self._seal.read(text)
        except SealError as error:
            LOG.warning("%s: %s", self._name, error)
            return None

    async def _run(self, script: str, *arguments: Any) -> Any:
        digest = sha1(script.encode(), usedforsecurity=False).hexdigest()
        return await self._store.run(script, digest, self._keys, arguments)


def _seconds(time: Sequence[bytes]) -> float:
    return int(time[0]) + int(time[1]) / 1e6


def _patient(settings: RedisServer) -> RedisServer:
    return settings.model_copy(update={"timeout": max(settings.timeout, PATIENCE)})


def within(tolerance: float, clock: Callable[[], float]) -> Callable[[float], None]:
    """Return a check that Redis's clock and ours differ by at most `tolerance` seconds."""

    def check(time: float) -> None:
        difference = abs(time - clock())
        if difference > tolerance:
            raise UnavailableError(f"the clocks of Redis and of this node differ by {difference:.1f} s")

    return check
