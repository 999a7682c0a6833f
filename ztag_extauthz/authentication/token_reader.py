"""Tokens in requests: each verified once, then remembered.

1. read        where the settings say, and nowhere else
2. remember    a token that was verified a moment ago is believed until `exp`, while its issuer's keys stay the same
3. parse       strictly, in bounded time
4. issuer      chosen among those in the settings, so no issuer's keys verify another's tokens
5. claims      first, for they cost nothing
6. signature   the algorithm has to be in the settings and has to fit the key
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

from pydantic import Field

from ztag_extauthz.authentication.bearer import Bearer
from ztag_extauthz.authentication.interface import Authenticator
from ztag_extauthz.authentication.issuer import Issuer, issuer_of
from ztag_extauthz.authentication.jose.compact import Token, TokenError, parse
from ztag_extauthz.authentication.key_source import KeySource
from ztag_extauthz.authentication.token_memory import Remembered, TokenMemory
from ztag_extauthz.component import Readiness, Resources
from ztag_extauthz.model import Deny, Identity, Request
from ztag_extauthz.section import Section

if TYPE_CHECKING:
    from ztag_extauthz.authentication.jose.key_set import KeySet

FIELD_NAME = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"


class TokenReaderSettings(Section):
    """Where tokens stand in requests, and how many are remembered."""

    header: str = Field(default="authorization", pattern=FIELD_NAME)
    """The request header with the token."""
    prefix: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]*$")
    """The scheme before the token; left out: `Bearer` in `authorization`, nothing in another header."""
    cookie: str | None = Field(default=None, pattern=FIELD_NAME)
    """A cookie that may hold the token instead of the header; a request with both is refused."""
    realm: str = Field(default="ztag", pattern=r"^[ !#-\[\]-~]*$")
    """`realm` of the challenge in 401 answers."""
    max_token_bytes: int = Field(default=8192, ge=256, le=65536)
    """A longer token is refused unread."""
    max_remembered: int = Field(default=10_000, ge=2)
    """Verified tokens that one worker remembers; a few kB each."""

    def bearer(self) -> Bearer:
        """Return the place of the tokens."""
        scheme = self.prefix if self.prefix is not None else "Bearer" if self.header.lower() == "authorization" else ""
        return Bearer(self.header.lower(), f"{scheme.lower()} " if scheme else "", self.realm, self.cookie or "")


class TokenReader(Authenticator):
    """Reads one place of requests and knows every issuer whose tokens may stand there."""

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

    def joined(self, other: Authenticator) -> Self | None:
        """Return a reader of both sets of issuers, if both read the same place in the same way."""
        if not isinstance(other, TokenReader):
            return None
        mine, others = self.bearer, other.bearer
        if (mine.header, mine.prefix, mine.cookie) != (others.header, others.prefix, others.cookie):
            return None
        memory = TokenMemory(self.memory.max_entries + other.memory.max_entries)
        return type(self)(self.bearer, {**self.issuers, **other.issuers}, memory, self._resources)

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
        verified = await self._verify(text, deadline)
        if isinstance(verified, Deny):
            return verified
        self.memory.put(digest, verified)
        return verified.identity

    async def _verify(self, text: str, deadline: float) -> Remembered | Deny:
        try:
            token = parse(text)
        except TokenError as error:
            return self.bearer.invalid(str(error))
        issuer = issuer_of(token.claims, self.issuers)
        if issuer is None:
            return self.bearer.invalid("the token is of an issuer that is not accepted here")
        why = issuer.why_not(token, len(text), self._clock())
        if why:
            return self.bearer.invalid(why)

        keys = await _keys_for(token, issuer.source, deadline)
        why = _why_not_signed(token, keys)
        if why:
            return self.bearer.invalid(why)
        try:
            identity = issuer.identity(token.claims)
        except ValueError as error:
            return self.bearer.invalid(str(error))
        return Remembered(identity, float(token.claims["exp"]), keys, issuer.source)


def _why_not_signed(token: Token, keys: "KeySet") -> str:
    verify = keys.verifier(token.key_id, token.algorithm)
    if verify is None:
        return "the token names no key of its issuer that fits its algorithm"
    return "" if verify(token.signature, token.signed) else "the signature of the token is not right"


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
