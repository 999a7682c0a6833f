"""How risky is it? Many weak signals, one calibrated probability, and the reasons for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from ztag_extauthz.authorization.risk.exchange import ExchangeSettings
from ztag_extauthz.authorization.step_up import AcrValue, Requirement
from ztag_extauthz.section import Seconds, Section
from ztag_extauthz.stores.limits.rate_limits import LimitsSettings
from ztag_extauthz.traits import TrustedProxies

if TYPE_CHECKING:
    from ztag_extauthz.authorization.risk.authorizer import Risk
    from ztag_extauthz.component import Resources

Action = Literal["allow", "step_up", "limit", "deny"]


class RiskStepUpSettings(Section):
    """What a client is asked for before it may go on (RFC 9470)."""

    acr_values: tuple[AcrValue, ...] = Field(min_length=1)
    """Authentication context classes, the preferred one first; a token whose `acr` is among them passes."""
    max_age: int = Field(default=300, ge=1)
    """Seconds since the user signed in (`auth_time`)."""

    def requirement(self) -> Requirement:
        return Requirement(self.acr_values, self.max_age)


class RiskSettings(Section):
    """Score each request by how unusual it is for its user and for everybody; `input.risk` tells the policy."""

    decides: ClassVar[bool] = False
    file_fields = ("model", "databases", "threat_lists")

    kind: Literal["risk"]
    elevated: Action = "allow"
    """What is done in the band `elevated`: `allow`, `step_up`, `limit` (by `limits`) or `deny`."""
    high: Action = "allow"
    """What is done in the band `high`. Calibrate on your own traffic before you let it refuse."""
    step_up: RiskStepUpSettings | None = None
    """What `step_up` asks for."""
    limits: LimitsSettings | None = None
    """The harder limits of `limit`."""
    model: str | None = None
    """File with weights and thresholds from `ztag risk calibrate`; left out: the built-in weights, and thresholds that
    fit nobody's traffic in particular."""
    databases: tuple[str, ...] = ()
    """MaxMind-format databases (country, city, ASN) (extra `geo`)."""
    threat_lists: tuple[str, ...] = ()
    """Files with an address or a network a line."""
    fingerprint_header: str = ""
    """Header in which Envoy passes the client's TLS fingerprint (JA3, JA4). Envoy has to remove the client's own."""
    trusted_proxies: TrustedProxies = 0
    """Entries at the end of `x-forwarded-for` that proxies of yours wrote, Envoy among them where it appends its peer
    (`use_remote_address`); the first of those is the client. 0: the peer of the connection is the client."""
    outcomes: bool = False
    """Envoy tells how requests end, by a gRPC access log to ztag's cluster (`ztag wire envoy` prints it): what is
    answered with 401 or 403 counts as a failure, anything else as a success. Otherwise being allowed is a success."""
    replicas: ExchangeSettings | None = None
    """Replicas tell each other of failures through this Redis; left out: each knows what it sees itself."""
    snapshot: str | None = None
    """File in which profiles survive restarts; left out: they begin anew."""
    snapshot_interval: Seconds = 60.0
    """Seconds between two snapshots."""

    @model_validator(mode="after")
    def _is_complete(self) -> RiskSettings:
        actions = (self.elevated, self.high)
        if "step_up" in actions and self.step_up is None:
            raise ValueError("`step_up` asks for something: set `step_up.acr_values`")
        if "limit" in actions and self.limits is None:
            raise ValueError("`limit` needs limits: set `limits`")
        return self

    def build(self, resources: Resources) -> Risk:
        from ztag_extauthz.authorization.risk.authorizer import Risk  # noqa: PLC0415 - numba

        return Risk(self, resources)
