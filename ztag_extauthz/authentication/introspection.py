"""Opaque tokens: what they mean is asked of their issuer (RFC 7662), and remembered for a short while.

What was learnt is remembered by the token's digest in this one reader, so neither another issuer's answer nor another
section's audiences can be met under the same token.
"""

import asyncio
from base64 import b64encode
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, ClassVar, Literal
from urllib.parse import quote_plus, urlencode

from pydantic import Field, SecretStr, model_validator

from ztag_extauthz.authentication.claim_rules import CLAIM, ClaimRuleSettings, Grants, Rule, names_in
from ztag_extauthz.authentication.jose.claims import LAST_SECOND, Expected, why_not
from ztag_extauthz.authentication.jose.text import decode_object
from ztag_extauthz.authentication.opaque import Opaque
from ztag_extauthz.authentication.possession import binding_of
from ztag_extauthz.authentication.token_memory import NoKeys, Remembered, TokenMemory
from ztag_extauthz.authentication.token_reader import TokenReader, TokenReaderSettings
from ztag_extauthz.component import Resources
from ztag_extauthz.errors import DeadlineError, OverloadedError, UnavailableError
from ztag_extauthz.fetch import Fetched, FetchError, Form, Terms, fetch, in_daemon, tls_context, why_not_url
from ztag_extauthz.model import Identity
from ztag_extauthz.section import Seconds

ANSWER_MARGIN = 0.02
"""Seconds of a request's time that are left when the issuer has not answered, to say so."""
NO_KEYS = NoKeys()
"""What an issuer that answers itself has."""


class IntrospectionSettings(TokenReaderSettings):
    """Accept opaque tokens by asking their issuer (RFC 7662); beside `jwt` those that are of none of its issuers."""

    file_fields: ClassVar[tuple[str, ...]] = ("ca",)

    kind: Literal["introspection"]
    issuer: str = Field(min_length=1)
    """Whose tokens they are; an answer that names another `iss` is refused."""
    url: str
    """https address of the introspection endpoint. Redirects are not followed."""
    client_id: str = Field(min_length=1)
    """As whom ztag asks."""
    client_secret: SecretStr
    """Its secret (HTTP Basic, RFC 6749 2.3.1)."""
    audiences: tuple[str, ...] = ()
    """`aud` of the answer has to name one of these."""
    insecure_any_audience: bool = False
    """Also accept answers about tokens for anybody, where the issuer names no audience."""
    claims: tuple[ClaimRuleSettings, ...] = ()
    """What else is asked of the answer; every rule has to hold."""
    subject_claim: str = Field(default="sub", pattern=CLAIM)
    """The member that says whom the token stands for."""
    scopes_claim: str = Field(default="scope", pattern=CLAIM)
    """The member with the scopes (`input.identity.scopes`)."""
    roles_claim: str = Field(default="roles", pattern=CLAIM)
    """The member with the roles (`input.identity.roles`)."""
    groups_claim: str = Field(default="groups", pattern=CLAIM)
    """The member with the groups (`input.identity.groups`)."""
    max_age: float = Field(default=30.0, ge=0, allow_inf_nan=False)
    """Seconds that an answer is believed at most, and never beyond its `exp`: so long may a revoked token be used."""
    negative_max_age: float = Field(default=5.0, ge=0, allow_inf_nan=False)
    """Seconds that a token is known to be inactive."""
    max_in_flight: int = Field(default=32, ge=1)
    """Questions that one worker asks at the same time; more are errors."""
    timeout: Seconds = Field(default=2.0, le=60)
    """Seconds that one question may take."""
    clock_skew: float = Field(default=5.0, ge=0, le=60, allow_inf_nan=False)
    """Seconds by which the issuer's clock may differ from this one."""
    ca: str | None = None
    """PEM file with the authorities that the endpoint's certificate is verified against; left out: the system's."""

    @model_validator(mode="after")
    def _is_safe(self) -> "IntrospectionSettings":
        why = why_not_url(self.url, insecure_http=False)
        if why:
            raise ValueError(f"url {why}\nwrite an https address")
        if not self.audiences and not self.insecure_any_audience:
            raise ValueError("no audiences\nlist what aud names, or set insecure_any_audience: true")
        return self

    def build(self, resources: Resources) -> "Introspection":
        """Build a reader for this one issuer. Raises `SettingsError` where the file of authorities cannot be used."""
        context = tls_context(resources.folder / self.ca if self.ca else None, "ca")
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret.get_secret_value())}"
        authorization = f"Basic {b64encode(pair.encode()).decode()}"

        def get(token: str) -> Fetched:
            form = Form(urlencode({"token": token, "token_type_hint": "access_token"}).encode(), authorization)
            return fetch(self.url, monotonic() + self.timeout, context, Terms(form=form))

        return Introspection(self.place(resources), {}, resources, (Introspector(self, get, resources),))


class Introspection(TokenReader):
    """Reads tokens that mean nothing by themselves."""

    kind = "introspection"


class Introspector(Opaque):
    """Asks one issuer, once about each token at a time."""

    def __init__(self, settings: IntrospectionSettings, get: Callable[[str], Fetched], resources: Resources) -> None:
        """`get` blocks and may raise `FetchError`."""
        self.max_token_bytes = settings.max_token_bytes
        self._settings = settings
        self._get = get
        self._clock = resources.clock
        self._grants = Grants(settings.scopes_claim, settings.roles_claim, settings.groups_claim)
        self._expected = _expected(settings)
        self._inactive = TokenMemory(settings.max_remembered)
        self._flights: dict[bytes, asyncio.Task[Remembered | str]] = {}

    async def ask(self, token: str, deadline: float) -> Remembered | str:
        """See `Opaque.ask`."""
        digest = self._inactive.digest(token)
        known = self._inactive.get(digest)
        if known is not None and self._clock() < known.expires_at:
            return _INACTIVE
        flight = self._flights.get(digest)
        if flight is None:
            if len(self._flights) >= self._settings.max_in_flight:
                raise OverloadedError(f"{self._settings.issuer} is asked about too many tokens at once")
            flight = self._flights[digest] = asyncio.create_task(self._fly(token, digest))
            flight.add_done_callback(_seen)
        await asyncio.wait({flight}, timeout=max(0.0, deadline - ANSWER_MARGIN - monotonic()))
        if not flight.done():
            raise DeadlineError(f"{self._settings.issuer} does not say in time what a token means")
        return flight.result()

    async def _fly(self, token: str, digest: bytes) -> Remembered | str:
        try:
            fetched = await in_daemon(lambda: self._get(token))
            answer = decode_object(fetched.document)
        except (FetchError, ValueError) as error:
            raise UnavailableError(f"introspection at {self._settings.issuer}: {error}") from error
        finally:
            del self._flights[digest]
        now = self._clock()
        try:
            return self._read(answer, now)
        except ValueError as error:
            refusal = Remembered(_NOBODY, now + self._settings.negative_max_age, None, NO_KEYS)
            self._inactive.put(digest, refusal)
            return str(error)

    def _read(self, answer: Mapping[str, Any], now: float) -> Remembered:
        """Return who an answer says. Raises `ValueError` where it says nobody, or not in a way that can be used."""
        if answer.get("active") is not True:
            raise ValueError(_INACTIVE)
        claims = {**answer, "exp": answer.get("exp", LAST_SECOND)}
        why = why_not(claims, "", self._expected, now)
        if why:
            raise ValueError(why)
        grants = self._grants
        identity = Identity(
            answer[self._settings.subject_claim],
            self._settings.issuer,
            Introspection.kind,
            answer,
            float(claims["exp"]) if "exp" in answer else None,
            names_in(answer, grants.scopes),
            names_in(answer, grants.roles),
            names_in(answer, grants.groups),
        )
        until = min(float(claims["exp"]), now + self._settings.max_age)
        return Remembered(identity, until, None, NO_KEYS, binding_of(answer))


def _seen(flight: "asyncio.Task[Remembered | str]") -> None:
    """Look at the outcome, which asyncio reports as lost where everybody who waited had to go."""
    if not flight.cancelled():
        flight.exception()


_INACTIVE = "the token is not active"
_NOBODY = Identity("", "", Introspection.kind)


def _expected(settings: IntrospectionSettings) -> Expected:
    rules = (_is_by(settings.issuer), _is_access_token, *(rule.rule() for rule in settings.claims))
    audiences = None if settings.insecure_any_audience else frozenset(settings.audiences)
    return Expected(audiences, frozenset({""}), settings.subject_claim, settings.clock_skew, rules=rules)


def _is_by(issuer: str) -> Rule:
    return lambda answer: "" if answer.get("iss", issuer) == issuer else "the token is of another issuer"


def _is_access_token(answer: Mapping[str, Any]) -> str:
    kind = answer.get("token_type", "bearer")
    known = type(kind) is str and kind.lower() in {"bearer", "dpop", "access_token"}
    return "" if known else "the token is no access token"
