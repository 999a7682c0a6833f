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


class Order(Struct, frozen=True, forbid_unknown_fields=True):
    """What an operator asks for: exactly one of `token`, `session`, `subject` and `everything`."""

    issuer: str
    token: str = ""
    session: str = ""
    subject: str = ""
    everything: bool = False
    before: float | None = None
    """Unix seconds; None for now."""

    def entry(self, now: float, remember: float) -> Revocation:
        """Return the entry. `now` in Unix seconds, `remember` in seconds. Raises `ValueError`."""
        named: list[tuple[Kind, str]] = [("token", self.token), ("session", self.session), ("subject", self.subject)]
        given = [(kind, value) for kind, value in named if value]
        if self.everything:
            given.append(("issuer", ""))
        if len(given) != 1:
            raise ValueError("name exactly one of token, session, subject, everything")
        return Revocation(
            given[0][0], self.issuer, given[0][1], now if self.before is None else self.before, now + remember
        )


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
