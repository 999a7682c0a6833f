"""CheckRequest → `Request`.

What Envoy sends depends on how it is set up: `headers` (a map, repeated fields joined by ","), or with
`encode_raw_headers` and from gRPC servers `header_map` (a list that tells repeated fields); no `http` at all from the
network filter; a body only where it buffers one.
"""

import re
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from envoy.config.core.v3.address_pb2 import Address
from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from google.protobuf.message import DecodeError

from ztag_extauthz.envoy.attributes import to_input
from ztag_extauthz.errors import MessageError
from ztag_extauthz.model import EMPTY, Peer, Request

PARTIAL_BODY = "x-envoy-auth-partial-body"

_NOBODY = Peer()
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_NONE_REPEATED: frozenset[str] = frozenset()
_UNDECODABLE = re.compile("[\udc80-\udcff]")


def decode(message: bytes) -> Request:
    """Return what an encoded `envoy.service.auth.v3.CheckRequest` asks about.

    A request that cannot be read in one way only has a `defect`. Raises `MessageError` where the bytes are no
    CheckRequest at all.
    """
    try:
        attributes = CheckRequest.FromString(message).attributes
    except DecodeError as error:
        raise MessageError("the message is no envoy.service.auth.v3.CheckRequest") from error
    if attributes.request.HasField("http"):
        return _http(attributes)
    return _connection(attributes)


def _http(attributes: AttributeContext) -> Request:
    http = attributes.request.http
    headers, repeated, defect, as_sent = _headers(http)
    body = http.body.encode() if http.body else http.raw_body
    return Request(
        id=http.id,
        method=http.method or headers.get(":method", ""),
        scheme=http.scheme or headers.get(":scheme", ""),
        host=http.host or headers.get(":authority", ""),
        path=http.path or headers.get(":path", ""),
        protocol=http.protocol,
        headers=headers,
        repeated=repeated,
        body=body if body or PARTIAL_BODY in headers else None,
        partial=headers.get(PARTIAL_BODY) == "true",
        source=_peer(attributes.source),
        destination=_peer(attributes.destination),
        context_extensions=_map(attributes.context_extensions),
        is_http=True,
        defect=defect,
        attributes=partial(to_input, attributes, as_sent),
        as_sent=as_sent is not None and bool(http.method and http.scheme and http.host and http.path),
    )


def _connection(attributes: AttributeContext) -> Request:
    """Return what the network (L4) or UDP filter asks about: two ends, and nothing between them."""
    known = attributes.HasField("source") or attributes.HasField("destination")
    return Request(
        id="",
        method="",
        scheme="",
        host="",
        path="",
        protocol="",
        headers=_NO_HEADERS,
        repeated=_NONE_REPEATED,
        body=None,
        partial=False,
        source=_peer(attributes.source),
        destination=_peer(attributes.destination),
        context_extensions=_map(attributes.context_extensions),
        is_http=False,
        defect="" if known else "neither an HTTP request nor a connection is described",
        attributes=partial(to_input, attributes),
    )


def _headers(
    http: AttributeContext.HttpRequest,
) -> tuple[Mapping[str, str], frozenset[str], str, dict[str, str] | None]:
    """Return the header fields by lower-case name, the names that are repeated, and what is wrong with them.

    Last `headers` as it was sent, where that is the same.
    """
    listed = http.header_map.headers if http.HasField("header_map") else ()
    as_sent = None
    if not http.headers:
        if not listed:
            return _NO_HEADERS, _NONE_REPEATED, "no headers", None
        headers, repeated = _joined([(field.key, _text(field)) for field in listed])
    else:
        sent = http.headers
        headers, repeated = {name: sent[name] for name in sent}, _NONE_REPEATED  # quicker than `dict`, by a third
        if listed:
            return headers, repeated, "headers and header_map, which may contradict each other", None
        names = "".join(headers)
        if names == names.lower():
            as_sent = headers
        else:
            headers, repeated = _joined(list(headers.items()))
    return headers, repeated, _control_character(headers), as_sent


def _joined(fields: list[tuple[str, str]]) -> tuple[dict[str, str], frozenset[str]]:
    """Join repeated fields as Envoy does, and say which they are."""
    headers: dict[str, str] = {}
    repeated = []
    for key, value in fields:
        name = key.lower()
        if name in headers:
            repeated.append(name)
            headers[name] = f"{headers[name]},{value}"
        else:
            headers[name] = value
    return headers, frozenset(repeated)


def _text(field: Any) -> str:
    """Return a value with "!" for each byte that is no UTF-8, as Envoy writes it in `headers`."""
    if not field.raw_value:
        return str(field.value)
    try:
        return str(field.raw_value, "utf-8")
    except UnicodeDecodeError:
        return _UNDECODABLE.sub("!", field.raw_value.decode("utf-8", "surrogateescape"))


def _control_character(headers: Mapping[str, str]) -> str:
    """Name a header field that other programs may cut or split (CVE-2019-9900)."""
    everything = "".join(headers) + "".join(headers.values())
    if "\0" not in everything and "\r" not in everything and "\n" not in everything:
        return ""
    guilty = next(name for name, value in headers.items() if not {"\0", "\r", "\n"}.isdisjoint(name + value))
    return f"a control character in the header field {guilty!r}"


def _peer(peer: AttributeContext.Peer) -> Peer:
    socket = peer.address.socket_address
    if socket.address:  # nearly always, and cheaper than to ask which kind it is
        return Peer(socket.address, socket.port_value, peer.principal, peer.service, peer.certificate)
    where, port = _place(peer.address)
    if not where and not port and not peer.principal:
        return _NOBODY
    return Peer(where, port, peer.principal, peer.service, peer.certificate)


def _place(address: Address) -> tuple[str, int]:
    match address.WhichOneof("address"):
        case "socket_address":
            return "", address.socket_address.port_value
        case "pipe":
            return address.pipe.path, 0
        case "envoy_internal_address":
            return address.envoy_internal_address.server_listener_name, 0
        case _:
            return "", 0


def _map(entries: Mapping[str, str]) -> Mapping[str, str]:
    return dict(entries) if entries else EMPTY
