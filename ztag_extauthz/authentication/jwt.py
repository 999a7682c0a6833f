"""JSON Web Tokens, verified against their issuer's keys (RFC 7519, 8725, 9068)."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from ztag_extauthz.authentication.claim_rules import CLAIM, ClaimRuleSettings, Grants
from ztag_extauthz.authentication.issuer import Issuer
from ztag_extauthz.authentication.jose.claims import LAST_SECOND, Expected
from ztag_extauthz.authentication.jwks import JwksSettings, key_source
from ztag_extauthz.authentication.token_reader import TokenReader, TokenReaderSettings
from ztag_extauthz.component import Resources

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519", "Ed448"
]
ACCESS_TOKEN = "at+jwt"  # noqa: S105 - a media type
ACCESS_TOKEN_CLAIMS = frozenset({"client_id", "iat", "jti"})
"""What RFC 9068 2.2 requires beside `iss`, `exp`, `aud` and `sub`, which every token here needs."""


class JwtSettings(TokenReaderSettings):
    """Accept signed tokens (RFC 7519, RFC 9068) of one issuer; a section for each issuer."""

    kind: Literal["jwt"]
    issuer: str = Field(min_length=1)
    """`iss` of the tokens, compared byte for byte."""
    audiences: tuple[str, ...] = Field(min_length=1)
    """`aud` has to name one of these."""
    algorithms: tuple[Algorithm, ...] = Field(min_length=1)
    """The only algorithms that are accepted, whatever token and keys say."""
    jwks: JwksSettings = JwksSettings()
    """Where the issuer's keys come from; left out: discovery from the issuer."""
    types: tuple[str, ...] = (ACCESS_TOKEN, "JWT", "absent")
    """Accepted `typ` of tokens; `absent` for none. `[at+jwt]` is best where the issuer follows RFC 9068: otherwise its
    ID tokens pass for access tokens unless `audiences` tell them apart."""
    required_claims: tuple[str, ...] | None = None
    """Claims that a token needs beside `iss`, `exp`, `aud` and the subject; left out: with `types: [at+jwt]` those of
    RFC 9068 (`client_id`, `iat`, `jti`), else none."""
    claims: tuple[ClaimRuleSettings, ...] = ()
    """What else is asked of the claims; every rule has to hold."""
    subject_claim: str = Field(default="sub", min_length=1)
    """The claim that says whom the token stands for."""
    scopes_claim: str = Field(default="scope", pattern=CLAIM)
    """The claim with the scopes (`input.identity.scopes`): words, or an array. A path (`a.b`) leads into objects."""
    roles_claim: str = Field(default="roles", pattern=CLAIM)
    """The claim with the roles (`input.identity.roles`)."""
    groups_claim: str = Field(default="groups", pattern=CLAIM)
    """The claim with the groups (`input.identity.groups`)."""
    clock_skew: float = Field(default=5.0, ge=0, le=60, allow_inf_nan=False)
    """Seconds by which the issuer's clock may differ from this one."""
    max_lifetime: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Seconds between `iat` (now, where there is none) and `exp` at most; left out: any."""

    @field_validator("types")
    @classmethod
    def _some_type(cls, types: tuple[str, ...]) -> tuple[str, ...]:
        if not types:
            raise ValueError("is empty, so no token could be accepted\nlist typ values, or absent for tokens without")
        return types

    @model_validator(mode="after")
    def _discoverable(self) -> "JwtSettings":
        self.jwks.check_discovery(self.issuer)
        return self

    def build(self, resources: Resources) -> "Jwt":
        """Build a reader for this one issuer. Raises `SettingsError` where the file of keys cannot be used."""
        keys = key_source(self.jwks, self.issuer, self.algorithms, resources)
        grants = Grants(self.scopes_claim, self.roles_claim, self.groups_claim)
        limit = self.max_token_bytes
        issuer = Issuer(Jwt.kind, self.issuer, frozenset(self.algorithms), self._expected(), limit, keys, grants)
        return Jwt(self.place(resources), {self.issuer: issuer}, resources)

    def _expected(self) -> Expected:
        types = frozenset("" if kind == "absent" else kind.lower().removeprefix("application/") for kind in self.types)
        by_profile = ACCESS_TOKEN_CLAIMS if types == {ACCESS_TOKEN} else frozenset[str]()
        required = dict.fromkeys(types, by_profile if self.required_claims is None else frozenset(self.required_claims))
        return Expected(
            frozenset(self.audiences),
            types,
            self.subject_claim,
            self.clock_skew,
            self.max_lifetime or float(LAST_SECOND),
            required,
            tuple(rule.rule() for rule in self.claims),
        )


class Jwt(TokenReader):
    """Reads the tokens of the issuers in the settings."""

    kind = "jwt"
