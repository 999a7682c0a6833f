"""CheckRequests as Envoy sends them, and what an answer says."""

import asyncio
from collections.abc import Mapping
from typing import Any

from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse

from ztag_extauthz.envoy import Encoder, decode
from ztag_extauthz.model import EMPTY, Allow, Decision, Deny, Failed, Identity, Request, Stage, Timings
from ztag_extauthz.settings import ResponseSettings

ID = "0d9c7f3e-6f2b-4f5e-9a30-1f2f3f4f5f6f"
ALICE = Identity(subject="alice", issuer="https://issuer.example", kind="jwt")
PSEUDO = {":authority": "shop.example", ":method": "GET", ":path": "/", ":scheme": "https"}


def check(
    path: str = "/", *, method: str = "GET", headers: Mapping[str, str] = EMPTY, body: str = "", raw_body: bytes = b""
) -> CheckRequest:
    """A request as Envoy describes it."""
    message = CheckRequest()
    attributes = message.attributes
    attributes.source.address.socket_address.address = "10.0.0.1"
    attributes.source.address.socket_address.port_value = 4321
    attributes.destination.address.socket_address.address = "10.0.0.2"
    attributes.destination.address.socket_address.port_value = 8080
    http = attributes.request.http
    http.id, http.method, http.path, http.host, http.scheme = "17", method, path, "shop.example", "https"
    http.protocol, http.size, http.body, http.raw_body = "HTTP/2", -1, body, raw_body
    for name, value in {**PSEUDO, ":path": path, ":method": method, **headers}.items():
        http.headers[name] = value
    return message


def listed(fields: list[tuple[str, bytes]], path: str = "/") -> CheckRequest:
    """The same with `encode_raw_headers`."""
    message = check(path)
    http = message.attributes.request.http
    http.ClearField("headers")
    for name, value in [(":path", path.encode()), *fields]:
        http.header_map.headers.add(key=name, raw_value=value)
    return message


def connection() -> CheckRequest:
    """What the network (L4) filter asks."""
    message = CheckRequest()
    message.attributes.source.address.socket_address.address = "10.0.0.1"
    message.attributes.source.principal = "spiffe://mesh.example/ns/edge/sa/envoy"
    message.attributes.destination.address.socket_address.port_value = 5432
    return message


def a92() -> CheckRequest:
    """What a gRPC server asks by itself (gRFC A92): header_map only, no scheme, no id, no body."""
    message = CheckRequest()
    attributes = message.attributes
    attributes.source.address.socket_address.address = "10.0.0.1"
    attributes.request.time.seconds = 1_700_000_000
    http = attributes.request.http
    http.method, http.path, http.host, http.protocol, http.size = "POST", "/shop.Cart/Add", "cart", "HTTP/2", -1
    http.header_map.headers.add(key="content-type", raw_value=b"application/grpc")
    return message


def request(message: CheckRequest) -> Request:
    return decode(message.SerializeToString())


def decided(verdict: Allow | Deny | Failed, identity: Identity | None = ALICE) -> Decision:
    return Decision(ID, 0.0, verdict, Stage.AUTHORIZATION, "rego", identity, EMPTY, Timings())


def answer(
    verdict: Allow | Deny | Failed,
    asked: Request | None = None,
    identity: Identity | None = ALICE,
    **settings: Any,
) -> CheckResponse:
    encoded = Encoder(ResponseSettings(**settings)).encode(asked or request(check()), decided(verdict, identity))
    return CheckResponse.FromString(encoded)


def headers_of(options: Any) -> list[tuple[str, str]]:
    return [(option.header.key, option.header.value) for option in options]


def run(coroutine: Any) -> Any:
    return asyncio.run(coroutine)
