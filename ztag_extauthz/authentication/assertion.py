"""The chain of custody: a service shows the assertion that it was called with, and so calls for somebody else.

A calls B: ztag gives B an assertion "A, for B". B calls C and shows it: ztag verifies that it is B who shows what was
meant for B, and gives C an assertion "A, by B, for C". Nobody else gains anything by showing it.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from ztag_extauthz.authentication.claim_rules import Grants, names_in
from ztag_extauthz.authentication.interface import Authenticator
from ztag_extauthz.authentication.issuer import Issuer
from ztag_extauthz.authentication.jose.claims import Expected
from ztag_extauthz.authentication.jwks import JwksSettings, key_source
from ztag_extauthz.authentication.peer import Forwarding, ForwardingSettings
from ztag_extauthz.authentication.token_reader import TokenReader, TokenReaderSettings
from ztag_extauthz.component import Readiness, Resources
from ztag_extauthz.model import Deny, Identity, Reason, Request
from ztag_extauthz.section import Section

HEADER = "x-ztag-assertion"
TYPE = "ztag+jwt"
MAX_ACTORS = 8


class AssertionSettings(Section):
    """Accept the assertion that a service was called with, shown by this very service: it calls for its caller."""

    kind: Literal["assertion"]
    issuer: str = Field(min_length=1)
    """`response.assertion.issuer` of the ztag that made it."""
    jwks: JwksSettings
    """Its keys: `/.well-known/jwks.json` of its `listen.admin`."""
    callers: Mapping[str, str] = Field(min_length=1)
    """The services that may call for others: principal (`spiffe://mesh.example/ns/shop/sa/orders`) → the audience that
    assertions for them name."""
    forwarding: ForwardingSettings = ForwardingSettings()
    """Proxies in front of the asking Envoy that tell who their client was."""

    def build(self, resources: Resources) -> "Assertion":
        """Build a reader of assertions. Raises `SettingsError` where the file of keys cannot be used."""
        keys = key_source(self.jwks, self.issuer, ("ES256", "EdDSA"), resources)
        expected = Expected(frozenset(self.callers.values()), frozenset({TYPE}), "sub", 2.0, 900.0)
        grants = Grants("scope", "roles", "groups")
        issuer = Issuer(Assertion.kind, self.issuer, frozenset({"ES256", "EdDSA"}), expected, 8192, keys, grants)
        reader = TokenReaderSettings(header=HEADER).place(resources)
        return Assertion(self, _Reader(reader, {self.issuer: issuer}, resources))


class _Reader(TokenReader):
    kind = "assertion"


class Assertion(Authenticator):
    """Knows who may call for whom."""

    kind = "assertion"

    def __init__(self, settings: AssertionSettings, reader: TokenReader) -> None:
        self._callers = dict(settings.callers)
        self._forwarding: Forwarding = settings.forwarding.forwarding()
        self._reader = reader

    async def authenticate(self, request: Request, deadline: float) -> Identity | Deny | None:
        """See `Authenticator.authenticate`."""
        if HEADER not in request.headers:
            return None
        try:
            client = self._forwarding.client_of(request)
        except ValueError as error:
            return Deny(Reason.INVALID_CREDENTIALS, str(error))
        audience = self._callers.get(client.principal) if client else None
        if client is None or audience is None:
            return None  # from anybody else it is no credential; it is removed like every header of ours
        found = await self._reader.authenticate(request, deadline)
        if not isinstance(found, Identity):
            return found
        if found.claims["aud"] != audience:
            return Deny(Reason.INVALID_CREDENTIALS, "the assertion was made for another service than shows it")
        return _acting(found, client.principal)

    def challenge(self) -> None:
        return None

    async def start(self) -> None:
        await self._reader.start()

    async def close(self) -> None:
        await self._reader.close()

    def readiness(self) -> tuple[Readiness, ...]:
        return self._reader.readiness()


def _acting(found: Identity, principal: str) -> Identity | Deny:
    """Return the identity with its newest actor outermost (RFC 8693 4.1)."""
    actor: dict[str, Any] = {"sub": principal}
    before = found.claims.get("act")
    if before is not None:
        actor["act"] = before
    if _depth(actor) > MAX_ACTORS:
        return Deny(Reason.INVALID_CREDENTIALS, "the assertion came through too many services")
    claims = {**found.claims, "act": actor}
    issuer = str(found.claims.get("idp", found.issuer))
    roles, groups = names_in(claims, "roles"), names_in(claims, "groups")
    return Identity(found.subject, issuer, Assertion.kind, claims, found.expires_at, found.scopes, roles, groups)


def _depth(actor: Any) -> int:
    return 1 + _depth(actor.get("act")) if isinstance(actor, dict) else 0
