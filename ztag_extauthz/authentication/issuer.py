"""What the tokens of one issuer are measured by."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from ztag_extauthz.authentication.claim_rules import Grants, names_in
from ztag_extauthz.authentication.jose.claims import Expected, why_not
from ztag_extauthz.authentication.jose.compact import Token
from ztag_extauthz.authentication.key_source import KeySource
from ztag_extauthz.model import Identity

SPIFFE = "spiffe://"


class Issuer(Struct, frozen=True):
    """One issuer, as the settings describe it."""

    kind: str
    """Of the identities: `jwt`, `jwt_svid` …"""
    name: str
    """`iss`, or `spiffe://` and a trust domain."""
    algorithms: frozenset[str]
    expected: Expected
    max_token_bytes: int
    source: KeySource
    grants: Grants

    def why_not(self, token: Token, size: int, now: float) -> str:
        """Return what is wrong with a token whose signature has not been verified yet, or "". `now` in Unix seconds."""
        if size > self.max_token_bytes:
            return "the token is too long"
        if token.algorithm not in self.algorithms:
            return "the token is signed with an algorithm that is not accepted here"
        return why_not(token.claims, token.type, self.expected, now)

    def identity(self, claims: Mapping[str, Any]) -> Identity:
        """Return who showed a token with these claims. Raises `ValueError` where they cannot be read."""
        return Identity(
            claims[self.expected.subject_claim],
            self.name,
            self.kind,
            claims,
            float(claims["exp"]),
            scopes=names_in(claims, self.grants.scopes),
            roles=names_in(claims, self.grants.roles),
            groups=names_in(claims, self.grants.groups),
        )


def issuer_of(claims: Mapping[str, Any], issuers: Mapping[str, Issuer]) -> Issuer | None:
    """Return the issuer whose keys may verify a token: `iss` chooses, else the trust domain of a SPIFFE `sub`.

    A JWT-SVID is verified with the bundle of its own subject's trust domain (SPIFFE JWT-SVID 5), whatever it says
    about its issuer.
    """
    subject = claims.get("sub")
    if type(subject) is str and subject.startswith(SPIFFE):
        domain = issuers.get(SPIFFE + subject[len(SPIFFE) :].partition("/")[0])
        if domain is not None:
            return domain
    name = claims.get("iss")
    return issuers.get(name) if type(name) is str else None
