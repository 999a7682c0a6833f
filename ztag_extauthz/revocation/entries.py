"""What can be revoked, and how it is written down.

token      one token, by its `jti`
session    every token of a session, by its `sid`
subject    everything issued to a subject until then
issuer     everything that an issuer issued until then
"""

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from ztag_extauthz.model import Identity

Kind = Literal["token", "session", "subject", "issuer"]


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
