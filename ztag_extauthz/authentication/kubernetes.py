"""Projected service-account tokens of Kubernetes, bound to an audience."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from ztag_extauthz.authentication.claim_rules import Grants, Rule, at
from ztag_extauthz.authentication.issuer import Issuer
from ztag_extauthz.authentication.jose.claims import Expected
from ztag_extauthz.authentication.jwks import JwksSettings, key_source
from ztag_extauthz.authentication.token_reader import TokenReader, TokenReaderSettings
from ztag_extauthz.component import Resources
from ztag_extauthz.section import Seconds

CLUSTER = "https://kubernetes.default.svc.cluster.local"
ALGORITHMS = ("RS256", "ES256", "ES384", "ES512")
"""What the API server signs with."""
SUBJECT = "system:serviceaccount:"


class KubernetesSettings(TokenReaderSettings):
    """Accept service-account tokens of a cluster; the subject is `system:serviceaccount:<namespace>:<name>`."""

    kind: Literal["kubernetes"]
    issuer: str = Field(default=CLUSTER, min_length=1)
    """`--service-account-issuer` of the API server, byte for byte."""
    audiences: tuple[str, ...] = Field(min_length=1)
    """`aud` has to name one of these; not the API server's own, or a token for it would open this door, too."""
    jwks: JwksSettings = JwksSettings()
    """Where the cluster's keys come from; left out: discovery from the issuer, which needs the cluster's CA (`ca`) and
    the role `system:service-account-issuer-discovery` for whoever is not logged in."""
    namespaces: tuple[str, ...] = ()
    """Namespaces whose service accounts are accepted; left out: all."""
    clock_skew: float = Field(default=5.0, ge=0, le=60, allow_inf_nan=False)
    """Seconds by which the cluster's clock may differ from this one."""
    max_lifetime: Seconds = 86400.0
    """Seconds between `iat` and `exp` at most."""

    def build(self, resources: Resources) -> "Kubernetes":
        """Build a reader for this one cluster. Raises `SettingsError` where the file of keys cannot be used."""
        keys = key_source(self.jwks, self.issuer, ALGORITHMS, resources)
        expected = Expected(
            frozenset(self.audiences),
            frozenset({"", "jwt"}),
            "sub",
            self.clock_skew,
            self.max_lifetime,
            {"": frozenset({"iat"}), "jwt": frozenset({"iat"})},
            (_is_account(frozenset(self.namespaces)),),
        )
        grants = Grants("scope", "roles", "groups")
        issuer = Issuer(
            Kubernetes.kind, self.issuer, frozenset(ALGORITHMS), expected, self.max_token_bytes, keys, grants
        )
        return Kubernetes(self.place(resources), {self.issuer: issuer}, resources)


class Kubernetes(TokenReader):
    """Reads tokens whose subjects are service accounts."""

    kind = "kubernetes"


def _is_account(namespaces: frozenset[str]) -> Rule:
    def check(claims: Mapping[str, Any]) -> str:
        bound = claims.get("kubernetes.io")
        if type(bound) is not dict:
            # Likewise a token of a Secret, from before tokens were projected: it never expires.
            return "the token is not of a service account"
        namespace, name = bound.get("namespace"), at(bound, "serviceaccount.name")
        if type(namespace) is not str or type(name) is not str or claims["sub"] != f"{SUBJECT}{namespace}:{name}":
            return "the token is not of a service account"
        if namespaces and namespace not in namespaces:
            return "the token is of a namespace that is not accepted here"
        return ""

    return check
