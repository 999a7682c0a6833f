"""JWT-SVIDs: tokens of a workload, verified with the bundle of its own trust domain (SPIFFE JWT-SVID)."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from ztag_extauthz.authentication import spiffe
from ztag_extauthz.authentication.claim_rules import Grants, Rule
from ztag_extauthz.authentication.issuer import Issuer
from ztag_extauthz.authentication.jose.claims import Expected
from ztag_extauthz.authentication.jwks import JwksSettings, key_source
from ztag_extauthz.authentication.key_source import KeySource
from ztag_extauthz.authentication.token_reader import TokenReader, TokenReaderSettings
from ztag_extauthz.authentication.workload_api import ADDRESS, WorkloadKeys
from ztag_extauthz.component import Resources
from ztag_extauthz.section import Seconds

ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512")
"""All that a JWT-SVID may be signed with (3.1)."""
TYPES = frozenset({"", "jwt", "jose"})


class SvidBundleSettings(JwksSettings):
    """Where a trust domain's bundle comes from: `file`, `url` or `workload_api`."""

    workload_api: str | None = Field(default=None, pattern=ADDRESS)
    """UNIX socket of a SPIFFE Workload API, `unix:///run/spire/agent.sock` (extra `grpcio`)."""


class JwtSvidSettings(TokenReaderSettings):
    """Accept JWT-SVIDs of one trust domain; a section for each that is federated with."""

    kind: Literal["jwt_svid"]
    trust_domain: str
    """Its name (`mesh.example`)."""
    audiences: tuple[str, ...] = Field(min_length=1)
    """`aud` has to name one of these."""
    bundle: SvidBundleSettings
    """The trust domain's bundle: of its keys those with `use: jwt-svid` count."""
    clock_skew: float = Field(default=5.0, ge=0, le=60, allow_inf_nan=False)
    """Seconds by which the trust domain's clock may differ from this one."""
    max_lifetime: Seconds = 3600.0
    """Seconds between `iat` (now, where there is none) and `exp` at most."""

    @field_validator("trust_domain")
    @classmethod
    def _is_name(cls, name: str) -> str:
        if "/" in name:
            raise ValueError("is an id\nwrite the name alone, mesh.example")
        return spiffe.trust_domain(name)

    @model_validator(mode="after")
    def _somewhere(self) -> "JwtSvidSettings":
        if sum(place is not None for place in (self.bundle.file, self.bundle.url, self.bundle.workload_api)) != 1:
            raise ValueError("bundle is not in one place\na trust domain is not discovered: file, url or workload_api")
        return self

    def _keys(self, name: str, resources: Resources) -> KeySource:
        if self.bundle.workload_api is None:
            return key_source(self.bundle, name, ALGORITHMS, resources, "jwt-svid")
        from ztag_extauthz.authentication.jose.key_set import KeySet  # noqa: PLC0415 - loads OpenSSL

        def read(document: bytes) -> KeySet:
            return KeySet(document, ALGORITHMS, "jwt-svid")

        return WorkloadKeys(self.trust_domain, self.bundle.workload_api, read, self.bundle.max_stale, resources)

    def build(self, resources: Resources) -> "JwtSvid":
        """Build a reader for this one trust domain. Raises `SettingsError` where the bundle cannot be used."""
        name = f"{spiffe.SCHEME}{self.trust_domain}"
        keys = self._keys(name, resources)
        expected = Expected(
            frozenset(self.audiences),
            TYPES,
            "sub",
            self.clock_skew,
            self.max_lifetime,
            rules=(_is_workload_of(self.trust_domain),),
        )
        grants = Grants("scope", "roles", "groups")
        issuer = Issuer(JwtSvid.kind, name, frozenset(ALGORITHMS), expected, self.max_token_bytes, keys, grants)
        return JwtSvid(self.place(resources), {name: issuer}, resources)


class JwtSvid(TokenReader):
    """Reads tokens whose subjects are workloads."""

    kind = "jwt_svid"


def _is_workload_of(trust_domain: str) -> Rule:
    def check(claims: Mapping[str, Any]) -> str:
        try:
            found = spiffe.parse(claims["sub"])
        except spiffe.SpiffeIdError as error:
            return str(error)
        if found.trust_domain != trust_domain:
            return "the token is of another trust domain than its issuer"
        return "" if found.path else "the token stands for a trust domain, not for a workload"

    return check
