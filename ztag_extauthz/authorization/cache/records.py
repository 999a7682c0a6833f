"""An answer as others keep it: whoever has no secret can neither make one, nor change it, nor put it elsewhere.

    expiry (8) · length of the value (4) · length of the digest (1) · digest · value · tag (16)

The tag is a keyed BLAKE2b of all before it. Rule 1: nothing of a record is used before its tag was compared.
"""

import struct
from enum import StrEnum
from hashlib import blake2b
from hmac import compare_digest

from ztag_extauthz.stores.seal import derived_key

_HEAD = struct.Struct(">dIB")
_TAG = 16


class Damage(StrEnum):
    """Why a record is no answer."""

    TRUNCATED = "truncated"
    """It has not the length that it names."""
    FORGED = "forged"
    """It was not written with the secret."""
    SWAPPED = "swapped"
    """It is the answer to another question."""
    EXPIRED = "expired"
    """Its life is over, whatever keeps it."""


class Records:
    """Writes and reads records under one secret."""

    def __init__(self, secret: bytes) -> None:
        self._begun = blake2b(digest_size=_TAG, key=derived_key(secret, b"ztag answers"))

    def write(self, digest: bytes, value: bytes, expires_at: float) -> bytes:
        """Return the record of an answer (`value`) to a question (`digest`, at most 255 bytes); Unix seconds."""
        content = _HEAD.pack(expires_at, len(value), len(digest)) + digest + value
        return content + self._tag(content)

    def read(self, digest: bytes, record: bytes, now: float) -> bytes | Damage:
        """Return the answer, or what is wrong with the record; `now` in Unix seconds."""
        if len(record) < _HEAD.size:
            return Damage.TRUNCATED
        expires_at, value_size, digest_size = _HEAD.unpack_from(record)
        begin = _HEAD.size + digest_size
        end = begin + value_size
        if len(record) != end + _TAG:
            return Damage.TRUNCATED
        if not compare_digest(record[end:], self._tag(record[:end])):
            return Damage.FORGED
        if record[_HEAD.size : begin] != digest:
            return Damage.SWAPPED
        return record[begin:end] if now < expires_at else Damage.EXPIRED

    def _tag(self, content: bytes) -> bytes:
        tag = self._begun.copy()
        tag.update(content)
        return tag.digest()
