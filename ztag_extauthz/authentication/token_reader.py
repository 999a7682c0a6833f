"""Tokens in requests: each verified once, then remembered.

1. read        where the settings say, and nowhere else
2. remember    a token that was verified a moment ago is believed until `exp`, while its issuer's keys stay the same
3. parse       strictly, in bounded time
4. issuer      chosen among those in the settings, so no issuer's keys verify another's tokens
5. claims      first, for they cost nothing
6. signature   the algorithm has to be in the settings and has to fit the key
7. possession  a token that is bound to a key is worth nothing without it, remembered or not
"""

from collections.abc import Mapping
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Self

from msgspec import Struct
from pydantic import Field, model_validator

from ztag_extauthz.again import ALWAYS, UNLIKE_HEADERS, Again
from ztag_extauthz.authentication.bearer import Bearer
from ztag_extauthz.authentication.dpop import Dpop, DpopSettings
from ztag_extauthz.authentication.interface import Authenticator
from ztag_extauthz.authentication.issuer import Issuer, issuer_of
from ztag_extauthz.authentication.jose.compact import Token, TokenError, parse
from ztag_extauthz.authentication.key_source import KeySource
from ztag_extauthz.authentication.opaque import Opaque
from ztag_extauthz.authentication.peer import Forwarding, ForwardingSettings
from ztag_extauthz.authentication.possession import binding_of
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
    dpop: DpopSettings | None = None
    """Accept tokens that are bound to a client's key; left out: such tokens are refused."""
    forwarding: ForwardingSettings = ForwardingSettings()
    """Proxies in front of the asking Envoy that tell their client's certificate, for tokens that are bound to one."""

    def place(self, resources: Resources) -> "Place":
        """Return where tokens stand, and what proves that they are shown by whom they were given to."""
        scheme = self.prefix if self.prefix is not None else "Bearer" if self.header.lower() == "authorization" else ""
        bearer = Bearer(self.header.lower(), f"{scheme.lower()} " if scheme else "", self.realm, self.cookie or "")
        dpop = None if self.dpop is None else self.dpop.build(bearer, resources, monotonic)
        return Place(bearer, dpop, self.forwarding.forwarding(), TokenMemory(self.max_remembered))

    @model_validator(mode="after")
    def _dpop_has_its_scheme(self) -> Self:
        if self.dpop is not None and self.header.lower() != "authorization":
            raise ValueError("has dpop, but its tokens stand in another header\nleave header out")
        return self


class Place(Struct, frozen=True):
    """Where tokens stand in requests, and what belongs to that place."""

    bearer: Bearer
    dpop: Dpop | None
    forwarding: Forwarding
    memory: TokenMemory

    def joined(self, other: "Place") -> "Place | None":
        """Return one place for two that are the same in requests, else None."""
        mine, others = self.bearer, other.bearer
        if (mine.header, mine.prefix, mine.cookie) != (others.header, others.prefix, others.cookie):
            return None
        memory = TokenMemory(self.memory.max_entries + other.memory.max_entries)
        forwarding = self.forwarding if self.forwarding.hops else other.forwarding
        return Place(self.bearer, self.dpop or other.dpop, forwarding, memory)


class TokenReader(Authenticator):
    """Reads one place of requests and knows every issuer whose tokens may stand there."""

    def __init__(
        self, place: Place, issuers: Mapping[str, Issuer], resources: Resources, opaque: tuple[Opaque, ...] = ()
    ) -> None:
        self.place = place
        self.bearer = place.bearer
        self.issuers = issuers
        self.opaque = opaque
        self.memory = place.memory
        self._resources = resources
        limits = [*(issuer.max_token_bytes for issuer in issuers.values()), *(one.max_token_bytes for one in opaque)]
        self._max_bytes = max(limits)
        self._clock = resources.clock
        self._count = resources.meter.add
        self._hit = resources.meter.series("ztag_token_cache", "hit")
        self._miss = resources.meter.series("ztag_token_cache", "miss")

    def joined(self, other: Authenticator) -> Self | None:
        """Return a reader of both sets of issuers, if both read the same place in the same way."""
        place = self.place.joined(other.place) if isinstance(other, TokenReader) else None
        if not isinstance(other, TokenReader) or place is None:
            return None
        issuers = {**self.issuers, **other.issuers}
        return type(self)(place, issuers, self._resources, (*self.opaque, *other.opaque))

    async def start(self) -> None:
        for issuer in self.issuers.values():
            await issuer.source.start()
        if self.place.dpop is not None:
            self.place.dpop.start()

    async def close(self) -> None:
        for issuer in self.issuers.values():
            await issuer.source.close()
        if self.place.dpop is not None:
            await self.place.dpop.close()

    def readiness(self) -> tuple[Readiness, ...]:
        return tuple(issuer.source.readiness() for issuer in self.issuers.values())

    def bearers(self) -> tuple[Bearer, ...]:
        dpop = self.place.dpop
        return (self.bearer,) if dpop is None else (self.bearer, dpop.bearer)

    def challenge(self) -> str:
        dpop = self.place.dpop
        if dpop is None:
            return self.bearer.challenge()
        return dpop.bearer.challenge() if dpop.required else f"{self.bearer.challenge()}, {dpop.bearer.challenge()}"

    async def authenticate(self, request: Request, deadline: float) -> Identity | Deny | None:
        """See `Authenticator.authenticate`."""
        text = self.bearer.token_of(request)
        if text is None and self.place.dpop is not None:
            return await self._with_proof(request, self.place.dpop, deadline)
        if text is None or isinstance(text, Deny):
            return text
        digest = self.memory.digest(text)
        known = self._recall(digest) or await self._learn(text, digest, self.bearer, deadline)
        if isinstance(known, Deny):
            return known
        if known.binding is not None or self.place.dpop is not None:
            return self._unless_bound(known, request)
        return known.identity

    def again(self, request: Request, said: Identity | None) -> Again | None:
        """See `Authenticator.again`. A proof of possession is of one request."""
        if self.bearer.header in UNLIKE_HEADERS:
            return None
        text = self.bearer.token_of(request)
        if said is None:
            return ALWAYS if text is None else None
        known = self.memory.get(self.memory.digest(text)) if isinstance(text, str) else None
        if known is None or known.identity is not said:
            return None
        return Again(partial(_holds, known), lambda _: self._count(self._hit))

    def _unless_bound(self, known: Remembered, request: Request) -> Identity | Deny:
        """Return who shows a token without a proof: nobody, if it is bound to a key or has to be."""
        binding, dpop = known.binding, self.place.dpop
        if binding is not None and binding.key:
            return self.bearer.invalid("the token is bound to a key and was shown without a proof")
        if dpop is not None and dpop.required:
            return dpop.bearer.invalid("the token is not bound to a key")
        why = "" if binding is None else binding.why_not_client(request, self.place.forwarding)
        return self.bearer.invalid(why) if why else known.identity

    async def _with_proof(self, request: Request, dpop: Dpop, deadline: float) -> Identity | Deny | None:
        text = dpop.bearer.token_of(request)
        if text is None or isinstance(text, Deny):
            return text
        digest = self.memory.digest(text)
        known = self._recall(digest) or await self._learn(text, digest, dpop.bearer, deadline)
        if isinstance(known, Deny):
            return known
        if known.binding is None or not known.binding.key:
            return dpop.bearer.invalid("the token is not bound to a key")
        why = known.binding.why_not_client(request, self.place.forwarding)
        if why:
            return dpop.bearer.invalid(why)
        return await dpop.refuse(request, text, known.binding.key) or known.identity

    def _recall(self, digest: bytes) -> Remembered | None:
        known = self.memory.get(digest)
        if known is None or not _holds(known, self._clock()):
            return None
        self._count(self._hit)
        return known

    async def _learn(self, text: str, digest: bytes, bearer: Bearer, deadline: float) -> Remembered | Deny:
        self._count(self._miss)
        if len(text) > self._max_bytes or not text.isascii():
            return bearer.invalid("the token is too long or not ASCII")
        found = await self._verify(text, deadline)
        if isinstance(found, str):
            return bearer.invalid(found)
        self.memory.put(digest, found)
        return found

    async def _verify(self, text: str, deadline: float) -> Remembered | str:
        """Return who shows a token, or why nobody does."""
        if not self.issuers or (self.opaque and text.count(".") != 2):
            return await self._ask(text, deadline)
        try:
            token = parse(text)
        except TokenError as error:
            return str(error)
        issuer = issuer_of(token.claims, self.issuers)
        if issuer is None:
            return await self._ask(text, deadline)
        why = issuer.why_not(token, len(text), self._clock())
        return why or await self._check(token, issuer, deadline)

    async def _check(self, token: Token, issuer: Issuer, deadline: float) -> Remembered | str:
        keys = issuer.source.keys
        if keys is None or not keys.knows(token.key_id):
            keys = await keys_for(token, issuer.source, deadline)
        why = why_not_signed(token, keys)
        if why:
            return why
        try:
            identity, binding = issuer.identity(token.claims), binding_of(token.claims)
        except ValueError as error:
            return str(error)
        return Remembered(identity, float(token.claims["exp"]), keys, issuer.source, binding)

    async def _ask(self, text: str, deadline: float) -> Remembered | str:
        """Ask the issuers that alone know what their tokens mean, one after the other."""
        why = "the token is of an issuer that is not accepted here"
        for opaque in self.opaque:
            found = await opaque.ask(text, deadline)
            if isinstance(found, Remembered):
                return found
            why = found
        return why


def _holds(known: Remembered, now: float) -> bool:
    """Tell whether what is remembered of a token still holds."""
    return now < known.expires_at and known.keys is known.source.keys


def why_not_signed(token: Token, keys: "KeySet") -> str:
    """Return why a token is not signed by one of these keys, in words fit for its sender, or ""."""
    verify = keys.verifier(token.key_id, token.algorithm)
    if verify is None:
        return "the token names no key of its issuer that fits its algorithm"
    return "" if verify(token.signature, token.signed) else "the signature of the token is not right"


async def keys_for(token: Token, source: KeySource, deadline: float) -> "KeySet":
    """Return the issuer's keys, new ones if the token's key is not among those at hand. Raises as `KeySource.first`.

    If no newer ones can be had, the old ones are the answer and the token is refused. Were that an error, an Envoy that
    lets requests through on errors would let through whoever invents a `kid`.
    """
    keys = await source.first(deadline)
    if not keys.knows(token.key_id):
        await source.renewed(deadline)
        keys = await source.first(deadline)
    return keys
