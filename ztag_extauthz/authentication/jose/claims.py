"""What a token's claims have to say (RFC 7519 4.1, RFC 8725 3.8 to 3.12)."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeGuard

from msgspec import Struct

LAST_SECOND = 253_402_300_799
"""The end of the year 9999. A later `exp` is one in milliseconds, which would make the token eternal."""
_NONE: frozenset[str] = frozenset()


class Expected(Struct, frozen=True):
    """What the settings ask of a token of one issuer."""

    audiences: frozenset[str] | None
    """None for any, or none."""
    types: frozenset[str]
    """In lower case; "" for a token without `typ`."""
    subject_claim: str
    clock_skew: float
    """Seconds by which the issuer's clock may differ from ours."""
    max_lifetime: float = float(LAST_SECOND)
    """Seconds between `iat` (now, where there is none) and `exp` at most."""
    required: Mapping[str, frozenset[str]] = MappingProxyType({})
    """Claims that a token of a type needs."""
    rules: tuple[Callable[[Mapping[str, Any]], str], ...] = ()
    """What else is asked of the claims; each returns what is wrong, or ""."""


def why_not(claims: Mapping[str, Any], kind: str, expected: Expected, now: float) -> str:
    """Return what is wrong with the claims, in words fit for the token's sender, or "" if nothing is.

    `iss` has been compared already: it chose what is `expected`. `kind` is the header's `typ`, `now` in Unix seconds.
    """
    if kind not in expected.types:
        return "the token is of a type that is not accepted here"
    if not _is_meant_for(claims.get("aud"), expected.audiences):
        return "the token is for another audience"
    subject = claims.get(expected.subject_claim)
    if type(subject) is not str or not subject:
        return "the token does not say whom it stands for"
    missing = [name for name in expected.required.get(kind, _NONE) if name not in claims]
    if missing:
        return f"the token lacks {', '.join(sorted(missing))}"
    why = _why_not_now(claims, now, expected)
    for rule in expected.rules:
        why = why or rule(claims)
    return why


def _why_not_now(claims: Mapping[str, Any], now: float, expected: Expected) -> str:
    skew = expected.clock_skew
    expires, begins, issued = claims.get("exp"), claims.get("nbf", 0), claims.get("iat", 0)
    if not (is_date(expires) and is_date(begins) and is_date(issued)):
        return "exp, nbf or iat of the token is missing or no date"
    if now >= expires + skew:
        return "the token has expired"
    if now < begins - skew or now < issued - skew:
        return "the token is not valid yet"
    if expires - (issued or now) > expected.max_lifetime + skew:
        return "the token is valid for longer than is accepted here"
    return ""


def _is_meant_for(audience: Any, audiences: frozenset[str] | None) -> bool:
    if audiences is None:
        return True
    if type(audience) is str:
        return audience in audiences
    if type(audience) is not list or not all(type(entry) is str for entry in audience):
        return False
    return not audiences.isdisjoint(audience)


def is_date(value: Any) -> TypeGuard[float]:
    """Return whether it is a NumericDate: a JSON number, so neither text nor `true`."""
    return type(value) in (int, float) and 0 <= value <= LAST_SECOND
