"""Makes assertions: one for each identity and audience, used again until it is about to expire."""

import json
from collections.abc import Callable
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any

from ztag_extauthz.assertion import TYPE
from ztag_extauthz.assertion.settings import AUDIENCE_EXTENSION, AssertionSettings
from ztag_extauthz.authentication.possession import base64url
from ztag_extauthz.model import Identity, Request

if TYPE_CHECKING:
    from ztag_extauthz.assertion.keys import SigningKey

MAX_REMEMBERED = 10_000
REUSED = 0.75
"""The part of its lifetime in which an assertion is used again."""


class Signer:
    """Signs with one key."""

    def __init__(self, settings: AssertionSettings, key: "SigningKey", clock: Callable[[], float]) -> None:
        """`clock` in Unix seconds."""
        self._issuer = settings.issuer
        self._audience = settings.audience or ""
        self._lifetime = settings.lifetime
        self._key = key
        self._clock = clock
        header = {"alg": key.algorithm, "kid": key.id, "typ": TYPE}
        self._header = base64url(json.dumps(header, separators=(",", ":")).encode()).encode()
        self._made: dict[tuple[Any, ...], tuple[str, float]] = {}

    def assertion(self, request: Request, identity: Identity, decision_id: str) -> str:
        """Return an assertion for the upstream of a request; "" where nobody is known or no upstream is named.

        `decision_id` is told of the decision that an assertion is made for.
        """
        audience = request.context_extensions.get(AUDIENCE_EXTENSION) or request.destination.principal or self._audience
        if not audience or identity.kind == "anonymous":
            return ""
        actor = _actor_of(identity)
        key = (
            identity.subject,
            identity.issuer,
            identity.kind,
            audience,
            identity.scopes,
            identity.roles,
            identity.groups,
            None if actor is None else json.dumps(actor),
            identity.expires_at,
        )
        made = self._made.get(key)
        now = self._clock()
        if made is not None and now < made[1]:
            return made[0]
        ends = min(now + self._lifetime, identity.expires_at or now + self._lifetime)
        token = self._sign(self._claims(identity, audience, decision_id, (int(now), int(ends))))
        if len(self._made) >= MAX_REMEMBERED:
            self._made.clear()
        self._made[key] = token, now + (ends - now) * REUSED
        return token

    def _claims(self, identity: Identity, audience: str, decision_id: str, span: tuple[int, int]) -> dict[str, Any]:
        claims = {
            "iss": self._issuer,
            "sub": identity.subject,
            "aud": audience,
            "iat": span[0],
            "exp": span[1],
            "jti": token_urlsafe(12),
            "decision_id": decision_id,
            "idp": identity.issuer,
            "kind": identity.kind,
            "scope": " ".join(identity.scopes),
            "roles": identity.roles,
            "groups": identity.groups,
            "act": _actor_of(identity),
        }
        return {name: value for name, value in claims.items() if value}

    def _sign(self, claims: dict[str, Any]) -> str:
        payload = base64url(json.dumps(claims, separators=(",", ":")).encode()).encode()
        signed = self._header + b"." + payload
        return f"{signed.decode()}.{base64url(self._key.sign(signed))}"


def _actor_of(identity: Identity) -> Any:
    """Return who acts for the subject; what another issuer says of that is not ours to repeat."""
    return identity.claims.get("act") if identity.kind == "assertion" else None
