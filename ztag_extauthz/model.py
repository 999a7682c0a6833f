"""What flows through the pipeline: frozen values without behaviour.

    CheckRequest ─▶ Request ─▶ Identity ─▶ Context ─▶ Verdict ─▶ Decision ─▶ CheckResponse

A `Verdict` is what a stage says, a `Decision` what is told to Envoy and to the reporters. A refusal is a value
(`Deny`), never an exception; an exception means that we could not find out, and becomes a `Failed`.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeAlias

from msgspec import Struct

Pairs: TypeAlias = tuple[tuple[str, str], ...]
"""Header fields or query parameters in order; a name may occur more than once."""

EMPTY: Mapping[str, Any] = MappingProxyType({})


class Stage(StrEnum):
    """Where a decision was made; the names of the folders."""

    ADMISSION = "admission"
    AUTHENTICATION = "authentication"
    AUTHORIZATION = "authorization"


class Outcome(StrEnum):
    """What came of a request, for who counts and reads logs; Envoy is told `answered` as it is told `deny`."""

    ALLOW = "allow"
    DENY = "deny"
    ANSWERED = "answered"
    ERROR = "error"


class Reason(StrEnum):
    """Why a request was refused, or why we could not find out; metric label, audit field and problem `reason`."""

    MALFORMED_REQUEST = "malformed_request"
    AMBIGUOUS_PATH = "ambiguous_path"
    BLOCKED_ADDRESS = "blocked_address"
    RATE_LIMITED = "rate_limited"
    MISSING_CREDENTIALS = "missing_credentials"
    INVALID_CREDENTIALS = "invalid_credentials"
    RISK = "risk"
    STEP_UP = "step_up"
    POLICY = "policy"
    ANSWERED = "answered"
    """Not refused: ztag itself has what was asked for."""
    # From here on: we could not find out.
    EVALUATION = "evaluation"
    UNAVAILABLE = "unavailable"
    DEADLINE = "deadline"
    OVERLOADED = "overloaded"
    INTERNAL = "internal"


class Peer(Struct, frozen=True):
    """One end of the checked connection, as the asking Envoy states it."""

    address: str = ""
    port: int = 0
    principal: str = ""
    """First URI SAN, else DNS SAN, else subject of the certificate that Envoy verified; "" without mTLS."""
    service: str = ""
    """From `x-envoy-downstream-service-cluster`: a client can write it, so never an identity."""
    certificate: str = ""
    """URL-encoded PEM; only with `include_peer_certificate`."""


class Request(Struct, frozen=True):
    """One request that Envoy asks about."""

    id: str
    method: str
    scheme: str
    host: str
    path: str
    """Undecoded, with the query, as Envoy received it."""
    protocol: str
    headers: Mapping[str, str]
    """Lower-case names; fields that occurred more than once are joined by ","."""
    repeated: frozenset[str]
    """Names that occurred more than once, where Envoy tells (`encode_raw_headers`)."""
    body: bytes | None
    """None where Envoy sent none."""
    partial: bool
    """Envoy cut the body (`x-envoy-auth-partial-body: true`)."""
    source: Peer
    destination: Peer
    context_extensions: Mapping[str, str]
    is_http: bool
    """False for the network (L4) filter, which sends no `http`."""
    defect: str
    """What makes the request unreadable ("" if nothing does); it is refused with 400."""
    attributes: Callable[..., dict[str, Any]]
    """`input.attributes` of opa-envoy-plugin, built when somebody asks for it; given names, those members alone."""
    as_sent: bool = False
    """Whether `method`, `scheme`, `host`, `path` and `headers` are there, and are Envoy's own fields of these names."""


class Identity(Struct, frozen=True):
    """Who asks, as one authenticator found out."""

    subject: str
    issuer: str
    kind: str
    claims: Mapping[str, Any] = EMPTY
    expires_at: float | None = None
    """Unix seconds; None if it does not expire."""
    scopes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


class Context(Struct, frozen=True):
    """All that an authorizer may look at."""

    request: Request
    identity: Identity
    facts: Mapping[str, Any] = EMPTY
    """What the authorizers before it found out (`input.<name>` of the policy)."""


class Deny(Struct, frozen=True):
    """No. `status`, `headers` and `body` are a policy's own wishes; left out, the reason's defaults apply."""

    reason: Reason
    detail: str = ""
    """For the operator's log and, where the reason is the caller's own fault, for the caller. Never a secret."""
    status: int | None = None
    headers: Pairs = ()
    body: str | None = None
    metadata: Mapping[str, Any] = EMPTY
    policy_revision: str = ""
    """Which policies said so; "" where none was asked."""


class Allow(Struct, frozen=True):
    """Yes, with what Envoy shall change on the way."""

    request_headers: Pairs = ()
    request_headers_to_remove: tuple[str, ...] = ()
    response_headers: Pairs = ()
    query_parameters: Pairs = ()
    query_parameters_to_remove: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = EMPTY
    facts: Mapping[str, Any] = EMPTY
    notes: Mapping[str, str] = EMPTY
    """What an authorizer wants to be told when the request has ended (`Ended`), by its kind."""
    shadowed: Deny | None = None
    """What would have been said were this not a dry run."""
    policy_revision: str = ""
    """Which policies said so, joined by "," where there are several; "" where none was asked."""


class Failed(Struct, frozen=True):
    """We could not find out: a gRPC error, so that Envoy's `failure_mode_allow` means what the operator set."""

    reason: Reason
    detail: str = ""
    """For the log; never sent to the caller."""
    policy_revision: str = ""
    """Which policies gave no usable answer."""


Verdict: TypeAlias = Allow | Deny


class Timings(Struct, frozen=True):
    """Nanoseconds spent in each stage; 0 for a stage that was not reached."""

    admission: int = 0
    authentication: int = 0
    authorization: int = 0


class Decision(Struct, frozen=True):
    """What was decided, by whom, and why: told to Envoy and to every reporter."""

    id: str
    """UUID, 36 characters."""
    time: float
    """Unix seconds when the request came in."""
    verdict: Allow | Deny | Failed
    stage: Stage
    decided_by: str
    """The kind that spoke last: `jwt`, `rego` …"""
    identity: Identity | None
    facts: Mapping[str, Any]
    timings: Timings
    notes: Mapping[str, str] = EMPTY
    """Of the authorizers, by their kinds; they go with the answer and come back with the request's end."""


class Ended(Struct, frozen=True):
    """How a request ended that was allowed, and what an authorizer noted of it."""

    kind: str
    note: str
    status: int
    """The HTTP status that the client got; 0 where there was none."""
