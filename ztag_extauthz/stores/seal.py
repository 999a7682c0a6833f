"""Entries that only those with the secret can write."""

from hashlib import blake2b
from hmac import compare_digest
from pathlib import Path
from typing import Annotated, Generic, TypeVar

import msgspec
from pydantic import AfterValidator, SecretStr

from ztag_extauthz.errors import Mistake, SettingsError, ZtagError

T = TypeVar("T")
_TAG = 32


class SealError(ZtagError):
    """An entry cannot be read, or was not written with this secret."""


_SHORT = "is shorter than 32 characters"
_REMEDY = "make one with: openssl rand -base64 32"


def _is_long(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < 32:
        raise ValueError(f"{_SHORT}\n{_REMEDY}")
    return secret


Secret = Annotated[SecretStr, AfterValidator(_is_long)]
"""A setting: a secret that replicas share, of at least 32 characters."""


def read_secret(path: Path, setting: str) -> bytes:
    """Return the secret that a file holds. Raises `SettingsError` with the setting that names it."""
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise SettingsError((Mistake(str(path), f"cannot be read: {error.strerror}", _REMEDY, setting),)) from error
    if len(secret) < 32:
        raise SettingsError((Mistake(str(path), _SHORT, _REMEDY, setting),))
    return secret


def derived_key(secret: bytes, purpose: bytes) -> bytes:
    """Return a key of 32 bytes for one purpose (at most 16 bytes): what was sealed for one says nothing for another."""
    return blake2b(secret, digest_size=32, person=purpose).digest()


class Seal(Generic[T]):
    """Writes and reads entries of one type."""

    def __init__(self, secret: bytes, purpose: bytes, kind: type[T]) -> None:
        self._key = derived_key(secret, purpose)
        self._kind = kind

    def write(self, entry: T) -> bytes:
        content = msgspec.json.encode(entry)
        return self._tag(content) + content

    def read(self, text: bytes) -> T:
        """Return the entry. Raises `SealError`."""
        tag, content = text[:_TAG], text[_TAG:]
        if not compare_digest(tag, self._tag(content)):
            raise SealError("an entry was not written with this secret")
        try:
            return msgspec.json.decode(content, type=self._kind)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise SealError(f"an entry cannot be read: {error}") from error

    def _tag(self, content: bytes) -> bytes:
        return blake2b(content, digest_size=_TAG // 2, key=self._key).hexdigest().encode()
