import struct
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.wrappers_pb2 import Int64Value

from tests.authorization.parts import document
from tests.envoy.checks import check
from ztag_extauthz.authorization.grpc_body import ProtoDescriptor
from ztag_extauthz.authorization.opa_input import ParseError
from ztag_extauthz.errors import PolicyError


def file_descriptor_set(*, complete: bool = True) -> bytes:
    """shop.Cart with Add (unary), Watch (server stream) and Upload (client stream) of a google.protobuf.Int64Value."""
    wrappers = descriptor_pb2.FileDescriptorProto()
    Int64Value.DESCRIPTOR.file.CopyToProto(wrappers)
    shop = descriptor_pb2.FileDescriptorProto(name="shop.proto", package="shop", syntax="proto3")
    shop.dependency.append(wrappers.name)
    cart = shop.service.add(name="Cart")
    for name, client, server in (("Add", False, False), ("Watch", False, True), ("Upload", True, False)):
        cart.method.add(
            name=name,
            input_type=".google.protobuf.Int64Value",
            output_type=".google.protobuf.Int64Value",
            client_streaming=client,
            server_streaming=server,
        )
    item = shop.message_type.add(name="Item")
    item.field.add(name="item_id", number=1, type=3, label=1, json_name="itemId")
    item.field.add(name="octets", number=2, type=12, label=1, json_name="octets")
    cart.method.add(name="Put", input_type=".shop.Item", output_type=".shop.Item")
    return descriptor_pb2.FileDescriptorSet(file=[wrappers, shop] if complete else [shop]).SerializeToString()


DESCRIPTOR = ProtoDescriptor(file_descriptor_set())
SEVEN = Int64Value(value=7).SerializeToString()
ITEM = b"\x08\x07\x12\x01\xff"


def framed(message: bytes, *, flag: int = 0, size: int | None = None) -> bytes:
    return struct.pack(">BI", flag, len(message) if size is None else size) + message


def parsed(
    body: bytes, path: str = "/shop.Cart/Add", descriptor: ProtoDescriptor | None = DESCRIPTOR
) -> tuple[Any, bool]:
    message = check(path, method="POST", headers={"content-type": "application/grpc"}, raw_body=body)
    found = document(message, descriptor=descriptor)
    return found["parsed_body"], found["truncated_body"]


def test_a_message_is_read_in_protojsons_form() -> None:
    assert parsed(framed(SEVEN)) == ("7", False)
    assert parsed(framed(ITEM), "/shop.Cart/Put") == ({"itemId": "7", "octets": "/w=="}, False)
    assert parsed(framed(SEVEN) + b"more", "/shop.Cart/Watch") == ("7", False)


def test_without_a_descriptor_nothing_is_read() -> None:
    assert parsed(framed(SEVEN), descriptor=None) == (None, False)


@pytest.mark.parametrize("path", ["/shop.Cart/Upload", "/shop.Cart/No", "/shop.No/Add", "/shop.Item/Add"])
def test_what_is_not_known_is_null(path: str) -> None:
    assert parsed(framed(SEVEN), path) == (None, False)


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
    with pytest.raises(PolicyError, match=r"^shop\.pb: "):
        ProtoDescriptor.load(path, "shop.pb")
