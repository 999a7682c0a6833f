"""Requests that come again: two with one fingerprint have to be one, as protobuf reads them."""

from pathlib import Path
from typing import Any, Final

from envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from google.protobuf.message import DecodeError

from loadtest.corpus import check_request
from loadtest.fuzz.target import Target, forbid
from ztag_extauthz.again import UNLIKE_HEADERS
from ztag_extauthz.envoy.fingerprint import Fingerprints

_KNOWN: Final = 20_000
"""Fingerprints that are compared with."""


def same(message: bytes) -> CheckRequest | None:
    """Return what a decision can depend on, as protobuf reads it; None where the message cannot be read."""
    try:
        read = CheckRequest.FromString(message)
    except DecodeError:
        return None
    read.DiscardUnknownFields()
    attributes = read.attributes
    if attributes.source.address.socket_address.port_value:
        attributes.source.address.socket_address.port_value = 1
    if attributes.request.HasField("time"):
        attributes.request.time.Clear()
        attributes.request.time.SetInParent()
    if attributes.request.HasField("http"):
        _leave_out(attributes.request.http)
    return read


def _leave_out(http: Any) -> None:
    http.id = "1" if http.id else ""
    for name in UNLIKE_HEADERS:
        if http.headers.get(name, ""):
            http.headers[name] = "1"
    for header in http.header_map.headers:
        if header.key in UNLIKE_HEADERS:
            header.value = "1" if header.value else ""
            header.raw_value = b"1" if header.raw_value else b""


def fingerprints(_: Path) -> Target:
    """The bytes of a CheckRequest, before anybody reads them."""
    prints = Fingerprints()
    known: dict[bytes, CheckRequest | None] = {}

    def take(message: bytes) -> None:
        mark = prints.of(message)
        if mark is None:
            return
        forbid(not (prints.name(message) or b"0").isdigit(), "a request's name is no number")
        if len(known) >= _KNOWN:
            known.clear()
        read = same(message)
        forbid(known.setdefault(mark, read) != read, "two requests have one fingerprint")

    corpus = [check_request("a.b.c", path, method) for path in ("/", "/orders/1?a=b") for method in ("GET", "POST")]
    return Target(take, corpus, words=(b"\x1a\x12\x0a\x0cx-request-id\x12\x02ab", b"\x12\x10\x08\x01", b"\x18\0"))


TARGETS: Final = (fingerprints,)
