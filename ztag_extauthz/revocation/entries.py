"""What can be revoked, and how it is written down.

token      one token, by its `jti`
session    every token of a session, by its `sid`
subject    everything issued to a subject until then
issuer     everything that an issuer issued until then
"""

from collections.abc import Iterator
from hashlib import blake2b
from hmac import compare_digest
from typing import Literal

import msgspec
from msgspec import Struct

from ztag_extauthz.errors import ZtagError
from ztag_extauthz.model import Identity

Kind = Literal["token", "session", "subject", "issuer"]
_TAG = 32


class RevocationError(ZtagError):
    """An entry cannot be read, or was not written with this secret."""


class Revocation(Struct, frozen=True, forbid_unknown_fields=True):
    """One entry."""

    kind: Kind
    issuer: str
    value: str
    """`jti`, `sid` or subject; "" for `issuer`."""
    before: float
    """Unix seconds: what was issued later is not meant."""
    until: float
    """Unix seconds: then all that is meant has expired by itself."""

    @property
    def key(self) -> tuple[Kind, str, str]:
        return self.kind, self.issuer, self.value


def keys_of(identity: Identity) -> Iterator[tuple[Kind, str, str]]:
    """Yield the keys of the entries that would refuse somebody."""
    claims, issuer = identity.claims, identity.issuer
    yield "subject", issuer, identity.subject
    yield "issuer", issuer, ""
    token, session = claims.get("jti"), claims.get("sid")
    if type(token) is str:
        yield "token", issuer, token
    if type(session) is str:
        yield "session", issuer, session


class Seal:
    """Writes and reads entries that only those with the secret can write."""

    def __init__(self, secret: bytes) -> None:
        self._key = blake2b(secret, digest_size=32, person=b"ztag revocation").digest()

    def write(self, entry: Revocation) -> bytes:
        content = msgspec.json.encode(entry)
        return self._tag(content) + content

    def read(self, text: bytes) -> Revocation:
        """Return the entry. Raises `RevocationError`."""
        tag, content = text[:_TAG], text[_TAG:]
        if not compare_digest(tag, self._tag(content)):
            raise RevocationError("an entry was not written with this secret")
        try:
            return msgspec.json.decode(content, type=Revocation)
        except msgspec.DecodeError as error:
            raise RevocationError(f"an entry cannot be read: {error}") from error

    def _tag(self, content: bytes) -> bytes:
        return blake2b(content, digest_size=_TAG // 2, key=self._key).hexdigest().encode()
