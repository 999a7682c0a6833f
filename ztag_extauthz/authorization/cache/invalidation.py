"""What is said to be forgotten: who told it, to whom, and where it is kept until everybody has heard."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from time import time

import msgspec
from msgspec import Struct

from ztag_extauthz.authorization.cache.settings import LONGEST, CacheRedisSettings
from ztag_extauthz.authorization.cache.tags import ALL
from ztag_extauthz.errors import UnavailableError
from ztag_extauthz.stores.journal import News, RedisJournal, within
from ztag_extauthz.stores.seal import Seal

BLOCK = "forgotten"
SIZE = 1 << 18
"""Bytes of the node's journal: about two thousand entries."""


class Invalidation(Struct, frozen=True, forbid_unknown_fields=True):
    """Answers with this tag, made until then, are to be made anew."""

    tag: str
    before: float
    """Unix seconds."""

    @property
    def key(self) -> str:
        return self.tag

    @property
    def until(self) -> float:
        return self.before + LONGEST


class NodeJournal:
    """A journal of one node, in shared memory: int64 generation, int64 end, then an entry a line.

    Rule 1: who writes holds the lock. Rule 2: the generation is odd while what stands there is replaced; a reader that
    meets an odd one, or another one afterwards, has read nothing.
    """

    def __init__(
        self,
        block: memoryview,
        lock: Callable[[], AbstractContextManager[object]] = nullcontext,
        clock: Callable[[], float] = time,
    ) -> None:
        """`block` has `SIZE` bytes and began as zeros; `lock` keeps other processes from writing."""
        self._head = block[:16].cast("q")
        self._text = block[16:]
        self._lock = lock
        self._clock = clock
        self._generation = self._read_to = 0

    async def news(self) -> News[Invalidation]:
        """See `Journal`. Nobody can be heard while somebody writes (or was killed while writing)."""
        generation, end = self._head
        begin = self._read_to if generation == self._generation else 0
        lines = bytes(self._text[begin:end]).splitlines()
        if generation % 2 or self._head[0] != generation:
            raise UnavailableError("the node's journal is being written")
        self._generation, self._read_to = generation, end
        return News(tuple(msgspec.json.decode(line, type=Invalidation) for line in lines))

    async def add(self, entries: Sequence[Invalidation]) -> None:
        """See `Journal`. Where there is no room, what is over goes; if that is too little, everything is forgotten."""
        text = b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries)
        with self._lock():
            generation, end = self._head
            if generation % 2 or end + len(text) > len(self._text):
                self._replace(text)
            else:
                self._text[end : end + len(text)] = text
                self._head[1] = end + len(text)

    def _replace(self, new: bytes) -> None:
        now, generation = self._clock(), self._head[0]
        lines = bytes(self._text[: self._head[1]]).splitlines(keepends=True) if generation % 2 == 0 else []
        text = b"".join(line for line in lines if msgspec.json.decode(line, type=Invalidation).until > now) + new
        if generation % 2 or len(text) > len(self._text) // 2:
            text = msgspec.json.encode(Invalidation(ALL, now)) + b"\n"
        self._head[0] = generation | 1
        self._text[: len(text)] = text
        self._head[1] = len(text)
        self._head[0] = (generation | 1) + 1

    async def drop(self, entries: Sequence[Invalidation]) -> None:
        """See `Journal`. What is over goes when there is no room for it."""

    async def close(self) -> None:
        """Nothing was opened."""


def journal(
    settings: CacheRedisSettings, folder: Path, clock: Callable[[], float] = time
) -> RedisJournal[Invalidation]:
    """Return the journal of all replicas with the same settings; nothing is connected yet. Raises `SettingsError`."""
    seal = Seal(settings.key(folder), b"ztag forgotten", Invalidation)
    return RedisJournal("forgotten", settings, seal, within(settings.clock_tolerance, clock))
