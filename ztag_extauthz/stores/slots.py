"""A table of small values in memory that all workers of a node share: 16 slots a set, none of them ever locked.

A worker may die within any write, and two may write one slot at once. So nothing that is read is believed: a slot ends
with a keyed hash of all that it holds, and what does not fit it is no value.

Which slot has to make room (Static RRIP, Jaleel et al. 2010): each has an age; a value comes with 2, is 0 when it is
asked for, and one of age 3 goes, after all have been aged until there is one. So what is asked for once cannot drive
out what is asked for often.

    seed (32 bytes) · values (8) · padding     ages (16 bytes a set)     ends (64)     tags (128)     slots
"""

import secrets
import struct
from hashlib import blake2b
from hmac import compare_digest
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from ztag_extauthz.component import Memory

WAYS: Final = 16
_HEADER: Final = 64
_SEED: Final = 32
_COUNT: Final = struct.Struct("<q")
_ENDS: Final = struct.Struct(f"<{WAYS}I")
_END: Final = struct.Struct("<I")
_TAG: Final = 8
_SLOT: Final = struct.Struct("<32sI")
_CHECK: Final = 16
OVERHEAD: Final = _SLOT.size + _CHECK
"""Bytes of a slot that hold no value."""
_COMES, _GOES = 2, 3
NOWHERE: Final = -1
"""The place of what is in no slot. It may be touched: its age is a byte of the header that nobody reads."""
_OLDER: Final = tuple(bytes(min(_GOES, age + more) for age in range(256)) for more in range(_GOES + 1))
"""Tables for `bytes.translate` that make ages 0, 1, 2 or 3 older."""


class Placed(NamedTuple):
    """Where a value was put, and what that cost."""

    place: int
    evicted: bool
    """A value that had not ended had to make room."""


class Slots:
    """Values by digests of 32 bytes, which have to be keyed: nobody may choose which values share a set."""

    def __init__(self, memory: "Memory", name: str, entries: int, slot_bytes: int) -> None:
        """`entries` is rounded up to whole sets; raises `OSError` where there is no room."""
        self._sets = -(-entries // WAYS)
        self._slot_bytes = slot_bytes
        self.max_bytes = slot_bytes - OVERHEAD
        self._ends = _HEADER + self._sets * WAYS
        self._tags = self._ends + self._sets * _ENDS.size
        self._slots = self._tags + self._sets * WAYS * _TAG
        self.bytes = self._slots + self._sets * WAYS * slot_bytes
        self._view = memory(f"{name}-{slot_bytes}", self.bytes, secrets.token_bytes(_SEED))
        self.seed = bytes(self._view[:_SEED])
        """The node's own secret: equal in all processes that use this table."""
        self._hash = blake2b(digest_size=_CHECK, key=self.seed, person=b"ztag slot")

    @property
    def entries(self) -> int:
        """Slots that were ever used; about right, since nobody locks it."""
        return int(_COUNT.unpack_from(self._view, _SEED)[0])

    def get(self, digest: bytes) -> tuple[bytes, int] | None:
        """Return a value and its place."""
        place = self._find(digest)
        if place is None:
            return None
        value = self._read(place, digest)
        if value is None:
            return None
        self.touch(place)
        return value, place

    def touch(self, place: int) -> None:
        """Note that a value was asked for."""
        self._view[_HEADER + place] = 0

    def put(self, digest: bytes, value: bytes, now: float, ends: float) -> Placed | None:
        """Put a value in place of any that is known; None if it is too large. Times in Unix seconds."""
        if len(value) > self.max_bytes:
            return None
        found = self._find(digest)
        place, evicted = (found, False) if found is not None else self._make_room(digest, int(now))
        self._write(place, digest, value)
        self._view[_HEADER + place] = _COMES if found is None else 0
        _END.pack_into(self._view, self._ends + place * _END.size, min(int(ends) + 1, 0xFFFFFFFF))
        return Placed(place, evicted)

    def _find(self, digest: bytes) -> int | None:
        """Return the place whose tag is the digest's."""
        first = int.from_bytes(digest[:8], "little") % self._sets * WAYS
        start = self._tags + first * _TAG
        tags = bytes(self._view[start : start + WAYS * _TAG])
        at = tags.find(digest[8:16])
        while at % _TAG and at > 0:
            at = tags.find(digest[8:16], at + 1)
        return None if at < 0 else first + at // _TAG

    def _make_room(self, digest: bytes, now: int) -> tuple[int, bool]:
        first = int.from_bytes(digest[:8], "little") % self._sets * WAYS
        ends = _ENDS.unpack_from(self._view, self._ends + first * _END.size)
        earliest = min(ends)
        if earliest <= now:
            if earliest == 0:
                _COUNT.pack_into(self._view, _SEED, self.entries + 1)
            return first + ends.index(earliest), False
        start = _HEADER + first
        ages = bytes(self._view[start : start + WAYS])
        oldest = min(max(ages), _GOES)
        ages = ages.translate(_OLDER[_GOES - oldest])
        self._view[start : start + WAYS] = ages
        return first + ages.index(_GOES), True

    def _read(self, place: int, digest: bytes) -> bytes | None:
        start = self._slots + place * self._slot_bytes
        slot = bytes(self._view[start : start + self._slot_bytes])
        own, length = _SLOT.unpack_from(slot)
        if own != digest or length > self.max_bytes:
            return None
        end = _SLOT.size + length
        checked = self._hash.copy()
        checked.update(slot[:end])
        return slot[_SLOT.size : end] if compare_digest(checked.digest(), slot[end : end + _CHECK]) else None

    def _write(self, place: int, digest: bytes, value: bytes) -> None:
        content = _SLOT.pack(digest, len(value)) + value
        checked = self._hash.copy()
        checked.update(content)
        start = self._slots + place * self._slot_bytes
        self._view[start : start + len(content) + _CHECK] = content + checked.digest()
        tag = self._tags + place * _TAG
        self._view[tag : tag + _TAG] = digest[8:16]
