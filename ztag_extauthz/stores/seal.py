"""Entries that only those with the secret can write."""

from hashlib import blake2b
from hmac import compare_digest
from pathlib import Path
from typing import Annotated, ClassVar, Generic, Self, TypeVar

import msgspec
from pydantic import AfterValidator, SecretStr, model_validator

from ztag_extauthz.errors import Mistake, SettingsError, ZtagError
from ztag_extauthz.section import Section

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


def secret_of(said: SecretStr | None, file: str | None, folder: Path, setting: str) -> bytes:
    """Return a secret that is said, or in a file. Raises `SettingsError` with the setting that names the file."""
    return read_secret(folder / (file or ""), setting) if said is None else said.get_secret_value().encode()


class SharedSecret(Section):
    """The secret that replicas share."""

    file_fields: ClassVar[tuple[str, ...]] = ("secret_file",)
    prefix: ClassVar[str] = ""
    """What its component's mistakes put before the names of its settings."""

    secret: Secret | None = None
    """At least 32 characters, the same on all replicas: what was not written with it does not count."""
    secret_file: str | None = None
    """Instead of `secret`: a file with it alone."""

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if (self.secret is None) == (self.secret_file is None):
            raise ValueError("the secret has to be said once\ngive either secret or secret_file")
        return self

    def key(self, folder: Path) -> bytes:
        """Return the secret; `folder` is that of the configuration. Raises `SettingsError`."""
        return secret_of(self.secret, self.secret_file, folder, f"{self.prefix}secret_file")


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
