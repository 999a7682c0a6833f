from pathlib import Path
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import Int64Value

from loadtest.contract.shop import ITEM, file_descriptor_set, framed
from tests.authorization.parts import document
from tests.envoy.checks import check
from ztag_extauthz.authorization.input.grpc_body import ProtoDescriptor
from ztag_extauthz.authorization.input.parse_error import ParseError
from ztag_extauthz.errors import PolicyError
from ztag_extauthz.rego.values import Number

DESCRIPTOR = ProtoDescriptor(file_descriptor_set())
SEVEN = Int64Value(value=7).SerializeToString()


def parsed(
    body: bytes, path: str = "/shop.Cart/Add", descriptor: ProtoDescriptor | None = DESCRIPTOR
) -> tuple[Any, bool]:
    message = check(path, method="POST", headers={"content-type": "application/grpc"}, raw_body=body)
    found = document(message, descriptor=descriptor)
    return found["parsed_body"], found["truncated_body"]


def test_a_message_is_read_in_protojsons_form() -> None:
    assert parsed(framed(SEVEN)) == ("7", False)
    item = {
        "itemId": "7",
        "octets": "/w==",
        "price": Number("0.1"),
        "weight": Number("1.5"),
        "onSale": True,
        "count": 5,
        "size": "LARGE",
    }
    assert parsed(framed(ITEM), "/shop.Cart/Put") == ({**item, "parts": [{"itemId": "1"}]}, False)
    assert parsed(framed(SEVEN) + b"more", "/shop.Cart/Watch") == ("7", False)


def test_without_a_descriptor_nothing_is_read() -> None:
    assert parsed(framed(SEVEN), descriptor=None) == (None, False)


@pytest.mark.parametrize("path", ["/shop.Cart/Upload", "/shop.Cart/No", "/shop.No/Add", "/shop.Item/Add"])
def test_what_is_not_known_is_null(path: str) -> None:
    assert parsed(framed(SEVEN), path) == (None, False)


def test_a_body_that_was_sent_as_text_is_null() -> None:
    message = check("/shop.Cart/Add", method="POST", headers={"content-type": "application/grpc"}, body="\0\0\0\0\0")
    assert document(message, descriptor=DESCRIPTOR)["parsed_body"] is None


def test_empty_and_compressed_bodies_are_null() -> None:
    assert parsed(b"") == (None, False)
    assert parsed(framed(SEVEN, flag=1)) == (None, False)


def test_a_message_longer_than_the_body_is_truncated() -> None:
    assert parsed(framed(SEVEN, size=100)) == (None, True)


@pytest.mark.parametrize("body", [b"\0\0\0\0", framed(b"\xff\xff")])
def test_what_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(ParseError):
        parsed(body)


@pytest.mark.parametrize("path", ["/", "/shop.Cart", "/shop.Cart/Add/More"])
def test_a_path_that_is_no_method_is_refused(path: str) -> None:
    with pytest.raises(ParseError, match="invalid parsed path"):
        parsed(framed(SEVEN), path)


def test_a_file_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "shop.pb"
    path.write_bytes(file_descriptor_set())
    assert parsed(framed(SEVEN), descriptor=ProtoDescriptor.load(path, "shop.pb")) == ("7", False)


@pytest.mark.parametrize("content", [b"\xff", file_descriptor_set(complete=False), None])
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "shop.pb"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PolicyError, match=r"^proto_descriptor: shop\.pb: "):
        ProtoDescriptor.load(path, "shop.pb")
