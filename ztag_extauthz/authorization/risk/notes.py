"""Notes of requests, which come back with Envoy's access log when a request has ended.

They travel through proxies and their logs, so whoever reads one could tell again, or otherwise, how a request ended:
a note is written with a key of ours, counts once in a worker, and for as long as `LIFETIME`.
"""

from base64 import b64decode, b64encode
from hashlib import blake2b
from hmac import compare_digest
from random import getrandbits
from struct import Struct
from typing import Final

LIFETIME: Final = 600.0
"""Seconds from a decision in which it is worth hearing how the request ended."""
MAX_HEARD: Final = 1 << 16
"""Notes that are remembered as heard; what comes above it within their lifetime is not counted."""
_TAG: Final = 16
_STAMP: Final = Struct("<dQ")


class NoteError(ValueError):
    """The text is no note of ours, too old, or was heard already."""


class Notes:
    """Writes notes and reads each once."""

    def __init__(self, secret: bytes, size: int) -> None:
        """Take the secret of whoever shares the profiles, and the bytes that a note holds."""
        self._key = blake2b(secret, digest_size=32, person=b"ztag risk note").digest()
        self._size = size
        self._heard: dict[bytes, float] = {}

    def write(self, content: bytes, now: float) -> str:
        stamped = _STAMP.pack(now, getrandbits(64)) + content
        return b64encode(self._tag(stamped) + stamped).decode()

    def read(self, note: str, now: float) -> bytes:
        """Return what a note holds. Raises `NoteError`."""
        try:
            text = b64decode(note, validate=True)
        except ValueError as error:
            raise NoteError("no note") from error
        tag, stamped = text[:_TAG], text[_TAG:]
        if len(stamped) != _STAMP.size + self._size or not compare_digest(tag, self._tag(stamped)):
            raise NoteError("not ours")
        made: float = _STAMP.unpack_from(stamped)[0]
        if now - made > LIFETIME:
            raise NoteError("too old")
        self._hear(tag, made, now)
        return stamped[_STAMP.size :]

    def _hear(self, tag: bytes, made: float, now: float) -> None:
        if tag in self._heard:
            raise NoteError("heard already")
        if len(self._heard) >= MAX_HEARD:
            self._heard = {old: when for old, when in self._heard.items() if now - when <= LIFETIME}
            if len(self._heard) >= MAX_HEARD:
                raise NoteError("more than are remembered")
        self._heard[tag] = made

    def _tag(self, stamped: bytes) -> bytes:
        return blake2b(stamped, digest_size=_TAG, key=self._key).digest()
