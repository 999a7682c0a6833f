"""What the settings ask of single claims, and which claims say what somebody may do."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from msgspec import Struct
from pydantic import Field, field_validator, model_validator

from ztag_extauthz.section import Section

Rule: TypeAlias = Callable[[Mapping[str, Any]], str]
"""claims → what is wrong with them, in words fit for the token's sender; "" if nothing is."""
Scalar: TypeAlias = str | bool | int | float

CLAIM = r"^[A-Za-z0-9_.:/~-]+$"
"""Names that may be repeated in a challenge."""


class ClaimRuleSettings(Section):
    """What one claim has to be; a token without it is refused. Exactly one of the four conditions."""

    claim: str = Field(pattern=CLAIM)
    """Name of the claim, or the way to it within objects: `realm_access.roles`."""
    equals: Scalar | None = None
    """The claim is this very value."""
    one_of: tuple[Scalar, ...] = ()
    """The claim is one of these."""
    matches: str | None = None
    """The claim is text that this regular expression matches as a whole."""
    contains: Scalar | None = None
    """The claim is an array with this value, or text with this word between spaces."""

    @field_validator("matches")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from error
        return pattern

    @model_validator(mode="after")
    def _one_condition(self) -> "ClaimRuleSettings":
        given = [self.equals is not None, bool(self.one_of), self.matches is not None, self.contains is not None]
        if sum(given) != 1:
            raise ValueError("does not have exactly one condition\nwrite one of equals, one_of, matches, contains")
        return self

    def rule(self) -> Rule:
        """Return the check of a token's claims."""
        holds = self._condition()
        why = f"the claim {self.claim} of the token is not as it has to be here"

        def check(claims: Mapping[str, Any]) -> str:
            return "" if holds(at(claims, self.claim)) else why

        return check

    def _condition(self) -> Callable[[Any], bool]:
        if self.matches is not None:
            pattern = re.compile(self.matches)
            return lambda value: type(value) is str and pattern.fullmatch(value) is not None
        if self.contains is not None:
            wanted = self.contains
            return lambda value: any(_same(entry, wanted) for entry in _entries(value))
        accepted = self.one_of or (self.equals,)
        return lambda value: any(_same(value, one) for one in accepted)


class Grants(Struct, frozen=True):
    """Which claims say what somebody may do."""

    scopes: str
    roles: str
    groups: str


def names_in(claims: Mapping[str, Any], claim: str) -> tuple[str, ...]:
    """Return the names that a claim lists: words of a text (RFC 6749 3.3) or an array of texts. Raises `ValueError`."""
    value = at(claims, claim)
    if value is None:
        return ()
    if type(value) is str:
        return tuple(value.split())
    if type(value) is not list or not all(type(entry) is str for entry in value):
        raise ValueError(f"the claim {claim} of the token lists no names")
    return tuple(value)


def at(claims: Mapping[str, Any], path: str) -> Any:
    """Return a claim by its name, else by the way to it within objects; None if there is none."""
    if path in claims or "." not in path:
        return claims.get(path)
    value: Any = claims
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _entries(value: Any) -> list[Any]:
    if type(value) is str:
        return value.split()
    return value if type(value) is list else []


def _same(value: Any, wanted: Scalar | None) -> bool:
    """Return whether JSON sees one value in both: `true` is not 1."""
    return (type(value) is bool) == (type(wanted) is bool) and bool(value == wanted)
