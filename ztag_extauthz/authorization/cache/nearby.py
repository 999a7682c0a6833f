"""A worker's own memory of answers, above the table that it shares with others: no bytes to make of a key.

An answer comes here when it is asked for a second time, as most are asked for once. Two generations, the younger of
which is filled: a full one becomes the older, whose place is taken. What is asked for again moves to the younger. So
what is hot stays, and an answer that is found costs one look.
"""

from msgspec import Struct

from ztag_extauthz.authorization.cache.interface import Key
from ztag_extauthz.meter import Meter
from ztag_extauthz.model import Verdict

_OVERHEAD = 600
"""Bytes that an entry costs beside its key's and its answer's own, which are texts mostly."""


class Kept(Struct, frozen=True):
    """An answer, its times (see `Answer`), where it is in the node's table, and its bytes."""

    verdict: Verdict
    made_at: float
    expires_at: float
    place: int
    size: int


class Nearby:
    """Answers by key, within a number of bytes."""

    def __init__(self, max_bytes: int, meter: Meter) -> None:
        self._half = max_bytes // 2
        self._young: dict[Key, Kept] = {}
        self._old: dict[Key, Kept] = {}
        self._young_bytes = self._old_bytes = 0
        self._meter = meter
        self._entries = meter.series("ztag_cache_entries")
        self._bytes = meter.series("ztag_cache_bytes")
        self._evictions = meter.series("ztag_cache_evictions", "worker")

    def get(self, key: Key) -> Kept | None:
        kept = self._young.get(key)
        if kept is None and (kept := self._old.pop(key, None)) is not None:
            self._old_bytes -= kept.size
            self._forget(1, kept.size)
            self._keep(key, kept)
        return kept

    def put(self, key: Key, kept: Kept) -> None:
        """Keep an answer instead of any that is known."""
        self.drop(key)
        self._keep(key, kept)

    def drop(self, key: Key) -> None:
        """Forget an answer."""
        for generation in (self._young, self._old):
            kept = generation.pop(key, None)
            if kept is not None:
                self._forget(1, kept.size)
                if generation is self._young:
                    self._young_bytes -= kept.size
                else:
                    self._old_bytes -= kept.size

    def close(self) -> None:
        """Forget all, and keep nothing any more."""
        self._half = 0
        self._forget(len(self._young) + len(self._old), self._young_bytes + self._old_bytes)
        self._young, self._old = {}, {}
        self._young_bytes = self._old_bytes = 0

    def _keep(self, key: Key, kept: Kept) -> None:
        size = kept.size
        if size > self._half:
            return
        if self._young_bytes + size > self._half:
            self._meter.add(self._evictions, len(self._old))
            self._forget(len(self._old), self._old_bytes)
            self._old, self._old_bytes = self._young, self._young_bytes
            self._young, self._young_bytes = {}, 0
        self._young[key] = kept
        self._young_bytes += size
        self._meter.add(self._entries)
        self._meter.add(self._bytes, size)

    def _forget(self, entries: int, size: int) -> None:
        self._meter.add(self._entries, -entries)
        self._meter.add(self._bytes, -size)


def size_of(key: bytes, content: bytes) -> int:
    """Return about how many bytes an answer takes, by the bytes of its key and its own."""
    return _OVERHEAD + 3 * (len(key) + len(content))
