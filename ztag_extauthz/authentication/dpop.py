"""Proofs of possession (RFC 9449): each request shows, beside its token, that it has the token's key.

1. one proof     exactly one `dpop` header, strict and short
2. the key       the one that the token is bound to, before any cryptography is paid for
3. the claims    for this method, this address, this token, now, and with our nonce where one is asked for
4. the signature
5. once          no proof is accepted twice, by any worker of any replica
"""

import re
from collections.abc import Callable
from hashlib import blake2b, sha256
from typing import Any, Literal
from urllib.parse import urlsplit

from msgspec import Struct
from pydantic import Field, SecretStr, field_validator

from ztag_extauthz.authentication.bearer import Bearer
from ztag_extauthz.authentication.jose.claims import is_date
from ztag_extauthz.authentication.jose.compact import Token, TokenError, read, take_apart
from ztag_extauthz.authentication.nonce import Nonces
from ztag_extauthz.authentication.possession import base64url
from ztag_extauthz.authentication.proof_keys import ProofKeys
from ztag_extauthz.component import Resources
from ztag_extauthz.errors import UnavailableError
from ztag_extauthz.model import Deny, Reason, Request
from ztag_extauthz.section import Seconds, Section
from ztag_extauthz.stores.once import MemoryOnce, Once, RedisOnce
from ztag_extauthz.stores.redis import RedisSettings, RedisStore

Algorithm = Literal["ES256", "ES384", "ES512", "EdDSA", "Ed25519", "RS256", "PS256"]
MAX_PROOF_BYTES = 4096
MAX_JTI = 256
SKEW = 5.0
"""Seconds by which a client's clock may be ahead."""
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")
_ESCAPE = re.compile("%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class DpopSettings(Section):
    """Accept tokens that are bound to a client's key, with a proof for each request (RFC 9449)."""

    algorithms: tuple[Algorithm, ...] = Field(default=("ES256", "EdDSA", "Ed25519"), min_length=1)
    """Algorithms of proofs."""
    max_age: Seconds = Field(default=60.0, le=600)
    """Seconds that a proof may be old."""
    required: bool = False
    """Refuse tokens that are not bound to a key."""
    origins: tuple[str, ...] = ()
    """What clients call where that is not what Envoy sees: `https://api.example` where TLS ends before Envoy."""
    nonce_secret: SecretStr | None = None
    """At least 32 characters, the same on all replicas: proofs then need a nonce of ours, which is not older than
    `max_age`, so that none can be made in advance."""
    redis: RedisSettings | None = None
    """Where it is remembered which proofs were shown. Without it each worker knows only its own, so one worker is all
    that is allowed."""
    max_remembered: int = Field(default=100_000, ge=1)
    """Proofs that one worker remembers without `redis`; more within `max_age` are refused."""

    @field_validator("origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError("is no origin\nwrite https://api.example, in lower case and without a path")
        return origins

    @field_validator("nonce_secret")
    @classmethod
    def _is_long(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value()) < 32:
            raise ValueError("is shorter than 32 characters\nmake one with: openssl rand -base64 32")
        return secret

    def build(self, bearer: Bearer, resources: Resources, monotonic: Callable[[], float]) -> "Dpop":
        """Build a verifier of proofs for the tokens of one place."""
        once: Once = (
            MemoryOnce(self.max_remembered, resources.clock)
            if self.redis is None
            else RedisOnce(RedisStore(self.redis, monotonic, "DPoP proofs"))
        )
        nonces = Nonces(self.nonce_secret.get_secret_value().encode(), self.max_age) if self.nonce_secret else None
        algs = f', algs="{" ".join(self.algorithms)}"'
        challenge = Bearer(bearer.header, "dpop ", bearer.realm, parameters=algs, scheme="DPoP")
        rules = Rules(frozenset(self.algorithms), self.max_age, self.required, frozenset(self.origins))
        return Dpop(challenge, rules, once, nonces, resources.clock)


class Rules(Struct, frozen=True):
    """What proofs are measured by."""

    algorithms: frozenset[str]
    max_age: float
    required: bool
    origins: frozenset[str]


class Dpop:
    """Verifies proofs."""

    def __init__(
        self, bearer: Bearer, rules: Rules, once: Once, nonces: Nonces | None, clock: Callable[[], float]
    ) -> None:
        self.bearer = bearer
        self.required = rules.required
        self._rules = rules
        self._once = once
        self._nonces = nonces
        self._clock = clock
        self._keys = ProofKeys(rules.algorithms)

    async def refuse(self, request: Request, token: str, thumbprint: str) -> Deny | None:
        """Return why a request does not prove that it has the key (base64url of RFC 7638), or None."""
        proof = self._proof(request)
        if isinstance(proof, Deny):
            return proof
        now = self._clock()
        try:
            parts = take_apart(proof)
            claims = read(parts)
            verify = self._keys.verifier(parts.header.get("jwk"), claims.algorithm, thumbprint)
            why = self._why_not(claims, request, token, now)
        except TokenError as error:
            why = str(error).replace("the token", "the proof")
        except ValueError as error:
            why = str(error)
        if why:
            return self._invalid(why)
        if self._nonces is not None and not self._nonces.is_ours(parts.claims.get("nonce"), now):
            return self._with_nonce("use_dpop_nonce", "the proof needs a nonce of this server", now)
        if not verify(parts.signature, parts.signed):
            return self._invalid("the signature of the proof is not right")
        return await self._replayed(parts.claims["jti"], thumbprint)

    def _proof(self, request: Request) -> str | Deny:
        proof = request.headers.get("dpop", "")
        if not proof:
            return self._invalid("the proof is missing")
        if "dpop" in request.repeated or "," in proof:
            return self._invalid("the proof was sent more than once")
        if len(proof) > MAX_PROOF_BYTES or not proof.isascii():
            return self._invalid("the proof is too long or not ASCII")
        return proof

    def _why_not(self, proof: Token, request: Request, token: str, now: float) -> str:
        claims = proof.claims
        if proof.type != "dpop+jwt":
            return "the proof is of another type than dpop+jwt"
        if claims.get("htm") != request.method:
            return "the proof is for another method"
        if claims.get("ath") != base64url(sha256(token.encode()).digest()):
            return "the proof is for another token"
        if not self._is_for(claims.get("htu"), request):
            return "the proof is for another address"
        made, name = claims.get("iat"), claims.get("jti")
        if not is_date(made) or not now - self._rules.max_age <= made <= now + SKEW:
            return "the proof was not made just now"
        return "" if type(name) is str and 0 < len(name) <= MAX_JTI else "the proof has no jti of usual length"

    def _is_for(self, address: Any, request: Request) -> bool:
        if type(address) is not str or not address.isascii():
            return False
        called = f"{request.scheme}://{request.host}".lower()
        origins = [origin for origin in self._rules.origins if origin.partition("://")[2] == request.host.lower()]
        path = request.path.partition("?")[0].partition("#")[0]
        wanted = normalised(address)
        return bool(wanted) and any(wanted == normalised(origin + path) for origin in origins or [called])

    async def _replayed(self, name: str, thumbprint: str) -> Deny | None:
        key = blake2b(f"{thumbprint}\0{name}".encode("utf-8", "surrogatepass"), digest_size=32).digest()
        try:
            if await self._once.first(key, self._rules.max_age + 2 * SKEW):
                return None
        except UnavailableError as error:
            # An error would let it through where Envoy lets requests through on errors.
            why = f"whether the proof is shown for the first time cannot be found out: {error}"
            return Deny(Reason.INVALID_CREDENTIALS, why, status=503, headers=(("retry-after", "1"),))
        return self._invalid("the proof was shown before")

    def _invalid(self, why: str) -> Deny:
        if self._nonces is not None:
            return self._with_nonce("invalid_dpop_proof", why, self._clock())
        return self.bearer.refusal(Reason.INVALID_CREDENTIALS, "invalid_dpop_proof", why)

    def _with_nonce(self, error: str, why: str, now: float) -> Deny:
        nonce = self._nonces.fresh(now) if self._nonces else ""
        return self.bearer.refusal(Reason.INVALID_CREDENTIALS, error, why, ("dpop-nonce", nonce))

    def start(self) -> None:
        """Connect in the background to where proofs are remembered."""
        self._once.start()

    async def close(self) -> None:
        """Let go of connections."""
        await self._once.close()


def normalised(address: str) -> str:
    """Return the one spelling of an address without query and fragment (RFC 3986 6.2.2, 6.2.3); "" if it is none."""
    try:
        parts = urlsplit(address)
        host = parts.netloc.lower()
    except ValueError:
        return ""
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS or not host or "@" in host:
        return ""
    return f"{scheme}://{host.removesuffix(_DEFAULT_PORTS[scheme])}{_ESCAPE.sub(_plain, parts.path) or '/'}"


def _plain(escape: re.Match[str]) -> str:
    letter = chr(int(escape[1], 16))
    return letter if letter in _UNRESERVED else escape[0].upper()
