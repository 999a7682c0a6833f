"""JSON Web Tokens: verified against the issuer's keys, once each.

1. read        where the settings say, and nowhere else
2. remember    a token that was verified a moment ago is believed until `exp`, while its issuer's keys stay the same
3. parse       strictly, in bounded time
4. issuer      the token's `iss` chooses among the issuers in the settings, so no issuer's keys verify another's tokens
5. claims      first, for they cost nothing
6. signature   the algorithm has to be in the settings and has to fit the key
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from pydantic import Field, field_validator, model_validator

from ztag_extauthz.authentication.bearer import Bearer
from ztag_extauthz.authentication.fetch import why_not_url
from ztag_extauthz.authentication.interface import Authenticator
from ztag_extauthz.authentication.jose.claims import Expected, why_not
from ztag_extauthz.authentication.jose.compact import Token, TokenError, parse
from ztag_extauthz.authentication.jwks import JwksSettings, key_source
from ztag_extauthz.authentication.key_source import KeySource
from ztag_extauthz.authentication.token_memory import Remembered, TokenMemory
from ztag_extauthz.component import Readiness, Resources
from ztag_extauthz.model import Deny, Identity, Request
from ztag_extauthz.section import Section

if TYPE_CHECKING:
    from ztag_extauthz.authentication.jose.key_set import KeySet

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519", "Ed448"
]


class JwtSettings(Section):
    """Accept signed tokens (RFC 7519, RFC 9068) of one issuer; a section for each issuer."""

    kind: Literal["jwt"]
    issuer: str = Field(min_length=1)
    """`iss` of the tokens, compared byte for byte."""
    audiences: tuple[str, ...] = Field(min_length=1)
    """`aud` has to name one of these."""
    algorithms: tuple[Algorithm, ...] = Field(min_length=1)
    """The only algorithms that are accepted, whatever token and keys say."""
    jwks: JwksSettings = JwksSettings()
    """Where the issuer's keys come from; left out: OIDC discovery from the issuer."""
    types: tuple[str, ...] = ("at+jwt", "JWT", "absent")
    """Accepted `typ` of tokens; `absent` for none. `[at+jwt]` is best where the issuer follows RFC 9068: then ID tokens
    are no access tokens."""
    subject_claim: str = Field(default="sub", min_length=1)
    """The claim that says whom the token stands for."""
    clock_skew: float = Field(default=5.0, ge=0, le=60, allow_inf_nan=False)
    """Seconds by which the issuer's clock may differ from this one."""
    header: str = Field(default="authorization", pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
    """The request header with the token."""
    prefix: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]*$")
    """The scheme before the token; left out: `Bearer` in `authorization`, nothing in another header."""
    realm: str = Field(default="ztag", pattern=r"^[ !#-\[\]-~]*$")
    """`realm` of the challenge in 401 answers."""
    max_token_bytes: int = Field(default=8192, ge=256, le=65536)
    """A longer token is refused unread."""
    max_remembered: int = Field(default=10_000, ge=2)
    """Verified tokens that one worker remembers; a few kB each."""

    @field_validator("types")
    @classmethod
    def _some_type(cls, types: tuple[str, ...]) -> tuple[str, ...]:
        if not types:
            raise ValueError("is empty, so no token could be accepted\nlist typ values, or absent for tokens without")
        return types

    @model_validator(mode="after")
    def _discoverable(self) -> "JwtSettings":
        if self.jwks.file is None and self.jwks.url is None:
            why = why_not_url(self.issuer, insecure_http=self.jwks.insecure_http_keys)
            if why:
                raise ValueError(
                    f"no keys can be discovered: issuer {why}\nadd jwks: {{file: …}} or {{url: https://…}}"
                )
        return self

    def build(self, resources: Resources) -> "Jwt":
        """Build a reader for this one issuer. Raises `SettingsError` where the file of keys cannot be used."""
        keys = key_source(self.jwks, self.issuer, self.algorithms, resources)
        issuer = Issuer(self.issuer, frozenset(self.algorithms), self._expected(), self.max_token_bytes, keys)
        scheme = self.prefix if self.prefix is not None else "Bearer" if self.header.lower() == "authorization" else ""
        bearer = Bearer(self.header.lower(), f"{scheme.lower()} " if scheme else "", self.realm)
        return Jwt(bearer, {self.issuer: issuer}, TokenMemory(self.max_remembered), resources)

    def _expected(self) -> Expected:
        types = frozenset(kind.lower().removeprefix("application/") for kind in self.types if kind != "absent")
        if "absent" in self.types:
            types |= {""}
        return Expected(frozenset(self.audiences), types, self.subject_claim, self.clock_skew)


class Issuer(Struct, frozen=True):
    """What one issuer's tokens are measured by."""

    name: str
    algorithms: frozenset[str]
    expected: Expected
    max_token_bytes: int
    source: KeySource


class Jwt(Authenticator):
    """Reads one header and knows every issuer whose tokens may stand there."""

    kind = "jwt"

    def __init__(
        self, bearer: Bearer, issuers: Mapping[str, Issuer], memory: TokenMemory, resources: Resources
    ) -> None:
        self.bearer = bearer
        self.issuers = issuers
        self.memory = memory
        self._resources = resources
        self._max_bytes = max(issuer.max_token_bytes for issuer in issuers.values())
        self._clock = resources.clock
        self._count = resources.meter.add
        self._hit = resources.meter.series("ztag_token_cache", "hit")
        self._miss = resources.meter.series("ztag_token_cache", "miss")

    def joined(self, other: Authenticator) -> "Jwt | None":
        """Return a reader of both sets of issuers, if both read the same header in the same way."""
        if not isinstance(other, Jwt):
            return None
        mine, others = self.bearer, other.bearer
        if (mine.header, mine.prefix) != (others.header, others.prefix):
            return None
        memory = TokenMemory(self.memory.max_entries + other.memory.max_entries)
        return Jwt(self.bearer, {**self.issuers, **other.issuers}, memory, self._resources)

    async def start(self) -> None:
        for issuer in self.issuers.values():
            await issuer.source.start()

    async def close(self) -> None:
        for issuer in self.issuers.values():
            await issuer.source.close()

    def readiness(self) -> tuple[Readiness, ...]:
        return tuple(issuer.source.readiness() for issuer in self.issuers.values())

    def challenge(self) -> str:
        return self.bearer.challenge()

    async def authenticate(self, request: Request, deadline: float) -> Identity | Deny | None:
        """See `Authenticator.authenticate`."""
        text = self.bearer.token_of(request)
        if text is None or isinstance(text, Deny):
            return text
        if len(text) > self._max_bytes or not text.isascii():
            return self.bearer.invalid("the token is too long or not ASCII")
        digest = self.memory.digest(text)
        known = self.memory.get(digest)
        if known is not None and self._clock() < known.expires_at and known.keys is known.source.keys:
            self._count(self._hit)
            return known.identity
        self._count(self._miss)
        return await self._verify(text, digest, deadline)

    async def _verify(self, text: str, digest: bytes, deadline: float) -> Identity | Deny:
        try:
            token = parse(text)
        except TokenError as error:
            return self.bearer.invalid(str(error))
        name = token.claims.get("iss")
        issuer = self.issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            return self.bearer.invalid("the token is of an issuer that is not accepted here")
        why = _why_not(token, issuer, len(text), self._clock())
        if why:
            return self.bearer.invalid(why)

        keys = await _keys_for(token, issuer.source, deadline)
        verify = keys.verifier(token.key_id, token.algorithm)
        if verify is None:
            return self.bearer.invalid("the token names no key of its issuer that fits its algorithm")
        if not verify(token.signature, token.signed):
            return self.bearer.invalid("the signature of the token is not right")

        identity = _identity(token, issuer)
        self.memory.put(digest, Remembered(identity, float(token.claims["exp"]), keys, issuer.source))
        return identity


def _why_not(token: Token, issuer: Issuer, size: int, now: float) -> str:
    if size > issuer.max_token_bytes:
        return "the token is too long"
    if token.algorithm not in issuer.algorithms:
        return "the token is signed with an algorithm that is not accepted here"
    return why_not(token.claims, token.type, issuer.expected, now)


async def _keys_for(token: Token, source: KeySource, deadline: float) -> "KeySet":
    """Return the issuer's keys, new ones if the token's key is not among those at hand.

    If no newer ones can be had, the old ones are the answer and the token is refused. Were that an error, an Envoy that
    lets requests through on errors would let through whoever invents a `kid`.
    """
    keys = await source.first(deadline)
    if not keys.knows(token.key_id):
        await source.renewed(deadline)
        keys = await source.first(deadline)
    return keys


def _identity(token: Token, issuer: Issuer) -> Identity:
    subject = token.claims[issuer.expected.subject_claim]
    return Identity(subject, issuer.name, Jwt.kind, token.claims, float(token.claims["exp"]))
