"""JWT-SVIDs: tokens of a workload, verified with the bundle of its own trust domain (SPIFFE JWT-SVID)."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from ztag_extauthz.authentication import spiffe
from ztag_extauthz.authentication.claim_rules import Grants, Rule
from ztag_extauthz.authentication.issuer import Issuer
from ztag_extauthz.authentication.jose.claims import Expected
from ztag_extauthz.authentication.jwks import JwksSettings, key_source
from ztag_extauthz.authentication.token_reader import TokenReader, TokenReaderSettings
from ztag_extauthz.component import Resources
from ztag_extauthz.section import Seconds

ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512")
"""All that a JWT-SVID may be signed with (3.1)."""
TYPES = frozenset({"", "jwt", "jose"})


class JwtSvidSettings(TokenReaderSettings):
    """Accept JWT-SVIDs of one trust domain; a section for each that is federated with."""

    kind: Literal["jwt_svid"]
    trust_domain: str
    """Its name (`mesh.example`)."""
    audiences: tuple[str, ...] = Field(min_length=1)
    """`aud` has to name one of these."""
    bundle: JwksSettings
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
        if self.bundle.file is None and self.bundle.url is None:
            raise ValueError("bundle has neither file nor url\na trust domain is not discovered: name one of the two")
        return self

    def build(self, resources: Resources) -> "JwtSvid":
        """Build a reader for this one trust domain. Raises `SettingsError` where the bundle cannot be used."""
        name = f"{spiffe.SCHEME}{self.trust_domain}"
        keys = key_source(self.bundle, name, ALGORITHMS, resources, "jwt-svid")
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
