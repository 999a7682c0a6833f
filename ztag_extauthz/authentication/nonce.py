"""Nonces that nobody has to remember: a time and a keyed hash of it (RFC 9449 9)."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from hashlib import blake2b
from hmac import compare_digest
from typing import Any

_TIME, _TAG = 8, 16
LENGTH = (_TIME + _TAG) * 4 // 3


class Nonces:
    """Makes and recognises nonces. All replicas with one secret accept each other's."""

    def __init__(self, secret: bytes, max_age: float) -> None:
        """`max_age` in seconds."""
        self._key = blake2b(secret, digest_size=32, person=b"ztag nonce").digest()
        self._max_age = max_age

    def fresh(self, now: float) -> str:
        """Return a nonce. `now` in Unix seconds."""
        time = int(now).to_bytes(_TIME)
        return urlsafe_b64encode(time + self._tag(time)).decode()

    def is_ours(self, nonce: Any, now: float) -> bool:
        """Return whether a nonce was made with this secret in the last `max_age` seconds."""
        if type(nonce) is not str or len(nonce) != LENGTH or not nonce.isascii():
            return False
        try:
            raw = urlsafe_b64decode(nonce)
        except Base64Error:
            return False
        time, tag = raw[:_TIME], raw[_TIME:]
        return compare_digest(tag, self._tag(time)) and now - self._max_age <= int.from_bytes(time) <= now + 1

    def _tag(self, time: bytes) -> bytes:
        return blake2b(time, digest_size=_TAG, key=self._key).digest()
