"""Requests and decisions to report."""

from typing import Any

from msgspec.structs import replace

from ztag_extauthz.model import Allow, Decision, Deny, Identity, Peer, Reason, Request, Stage, Timings

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"
NOW = 1_800_000_000.25

REQUEST = Request(
    id="7",
    method="GET",
    scheme="https",
    host="api.example",
    path="/orders/1?page=2",
    protocol="HTTP/2",
    headers={
        "authorization": f"Bearer {TOKEN}",
        "cookie": "session=c00kie",
        "x-api-key": "k3y",
        "user-agent": "curl",
        "x-note": f"mine is {TOKEN}",
    },
    repeated=frozenset(),
    body=b"b0dy",
    partial=False,
    source=Peer("10.0.0.1", 4321, "spiffe://mesh.example/ns/a/sa/b"),
    destination=Peer("10.0.0.2", 443),
    context_extensions={"route": "orders"},
    is_http=True,
    defect="",
    attributes=lambda *_: {},
)
IDENTITY = Identity("alice", "https://issuer.example", "jwt", {"sub": "alice", "email": "a@example"}, NOW + 60)
DECISION = Decision(
    id="0b0c4b9e-5a6f-4c58-9d0f-1f1f0e8f6f11",
    time=NOW,
    verdict=Allow(),
    stage=Stage.AUTHORIZATION,
    decided_by="rego",
    identity=IDENTITY,
    facts={"risk": {"score": 0.25}},
    timings=Timings(1_500, 2_500, 30_000),
)


def asked(**changes: Any) -> Request:
    return replace(REQUEST, **changes)


def decided(**changes: Any) -> Decision:
    return replace(DECISION, **changes)


def denied(detail: str = "the policy says no", **changes: Any) -> Decision:
    return decided(verdict=Deny(Reason.POLICY, detail, **changes))
