"""For upstreams in Python: who asked, as ztag says.

verifier = Verifier("https://ztag.mesh.example", "orders", "http://127.0.0.1:9902/.well-known/jwks.json")
caller = verifier.verify(headers.get("x-ztag-assertion", ""))       # raises AssertionRefused
caller.subject, caller.scopes, caller.actors
"""

import ssl
from collections.abc import Callable
from threading import Lock
from time import monotonic, time
from typing import Any

from msgspec import Struct

from ztag_extauthz.assertion import TYPE
from ztag_extauthz.authentication.claim_rules import names_in
from ztag_extauthz.authentication.jose.claims import Expected, why_not
from ztag_extauthz.authentication.jose.compact import TokenError, parse
from ztag_extauthz.authentication.jose.key_set import KeySet
from ztag_extauthz.fetch import fetch, why_not_url

ALGORITHMS = ("ES256", "EdDSA")
MAX_CHARACTERS = 8192
COOL_DOWN = 5.0
"""Seconds between two fetches of the keys at least, whatever an assertion asks for."""


class AssertionRefused(Exception):  # noqa: N818 - it is an answer
    """The request's assertion is none, or not one for this upstream. The message is fit for a log."""


class Caller(Struct, frozen=True):
    """Who asked."""

    subject: str
    issuer: str
    """Whose credential ztag verified."""
    kind: str
    """Of that credential."""
    scopes: tuple[str, ...]
    roles: tuple[str, ...]
    groups: tuple[str, ...]
    actors: tuple[str, ...]
    """Services on the way that call for the subject, the nearest first."""
    decision_id: str
    """Of the decision that the assertion was made for, in ztag's audit log."""
    expires_at: int
    """Unix seconds."""


class Verifier:
    """Verifies assertions for one upstream. Can be used by several threads."""

    def __init__(
        self,
        issuer: str,
        audience: str,
        keys: str,
        *,
        insecure_http_keys: bool = False,
        clock: Callable[[], float] = time,
    ) -> None:
        """Verify what `issuer` says to `audience`; `keys` is the address of its key set.

        `insecure_http_keys`: fetch it by plain http also where that is not loopback. Raises `ValueError`.
        """
        why = why_not_url(keys, insecure_http=insecure_http_keys)
        if why:
            raise ValueError(f"the address of the keys {why}")
        self._issuer = issuer
        self._expected = Expected(frozenset({audience}), frozenset({TYPE}), "sub", 2.0, 900.0)
        self._address = keys
        self._tls = ssl.create_default_context()
        self._clock = clock
        self._keys: KeySet | None = None
        self._next_fetch = float("-inf")
        self._lock = Lock()

    def verify(self, assertion: str) -> Caller:
        """Return who asked. Raises `AssertionRefused`; `FetchError` and `KeySetError` where the keys cannot be had."""
        if not assertion or len(assertion) > MAX_CHARACTERS or not assertion.isascii():
            raise AssertionRefused("there is no assertion, or none of usual length")
        try:
            token = parse(assertion)
        except TokenError as error:
            raise AssertionRefused(str(error)) from error
        if token.claims.get("iss") != self._issuer:
            raise AssertionRefused("it is of another issuer")
        why = why_not(token.claims, token.type, self._expected, self._clock())
        if why:
            raise AssertionRefused(why)
        verify = self._keys_for(token.key_id).verifier(token.key_id, token.algorithm)
        if token.key_id is None or verify is None or not verify(token.signature, token.signed):
            raise AssertionRefused("it is not signed by its issuer")
        return _caller(token.claims)

    def _keys_for(self, key_id: str | None) -> KeySet:
        with self._lock:
            if self._keys is None or (not self._keys.knows(key_id) and monotonic() >= self._next_fetch):
                self._next_fetch = monotonic() + COOL_DOWN
                self._keys = KeySet(fetch(self._address, monotonic() + 5.0, self._tls).document, ALGORITHMS)
            return self._keys


def _caller(claims: dict[str, Any]) -> Caller:
    try:
        scopes, roles, groups = (names_in(claims, name) for name in ("scope", "roles", "groups"))
    except ValueError as error:
        raise AssertionRefused(str(error)) from error
    idp, kind, decision = (str(claims.get(name, "")) for name in ("idp", "kind", "decision_id"))
    return Caller(claims["sub"], idp, kind, scopes, roles, groups, _actors(claims), decision, int(claims["exp"]))


def _actors(claims: dict[str, Any]) -> tuple[str, ...]:
    actors, actor = [], claims.get("act")
    while isinstance(actor, dict):
        actors.append(str(actor.get("sub", "")))
        actor = actor.get("act")
    return tuple(actors)
