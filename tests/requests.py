"""Requests and identities for tests, each field with a plain default."""

from typing import Any

from msgspec.structs import replace

from ztag_extauthz.model import Identity, Peer, Request

_REQUEST = Request(
    id="1",
    method="GET",
    scheme="https",
    host="app.example",
    path="/orders/17?x=1",
    protocol="HTTP/1.1",
    headers={},
    repeated=frozenset(),
    body=None,
    partial=False,
    source=Peer("10.0.0.1", 4711),
    destination=Peer("10.0.0.2", 8080),
    context_extensions={},
    is_http=True,
    defect="",
    attributes=lambda *_: {},
)


def make_request(address: str = "10.0.0.1", **changes: Any) -> Request:
    return replace(_REQUEST, source=Peer(address, 4711), **changes)


def make_identity(subject: str = "alice", **changes: Any) -> Identity:
    return replace(Identity(subject, "https://issuer.example", "jwt"), **changes)
