"""A small gRPC service, for bodies that are read with an operator's own descriptors."""

import struct

from google.protobuf import descriptor_pb2
from google.protobuf.wrappers_pb2 import Int64Value

METHODS = (("Add", False, False), ("Watch", False, True), ("Upload", True, False))
"""Name, whether the client streams, whether the server does; all of them take a `google.protobuf.Int64Value`."""


def file_descriptor_set(*, complete: bool = True) -> bytes:
    """Return `shop.Cart` with `METHODS`, and `Put` of a `shop.Item`; incomplete without the imported file."""
    wrappers = descriptor_pb2.FileDescriptorProto()
    Int64Value.DESCRIPTOR.file.CopyToProto(wrappers)
    shop = descriptor_pb2.FileDescriptorProto(name="shop.proto", package="shop", syntax="proto3")
    shop.dependency.append(wrappers.name)
    _add_item(shop)
    cart = shop.service.add(name="Cart")
    cart.method.add(name="Put", input_type=".shop.Item", output_type=".shop.Item")
    for name, client, server in METHODS:
        cart.method.add(
            name=name,
            input_type=".google.protobuf.Int64Value",
            output_type=".google.protobuf.Int64Value",
            client_streaming=client,
            server_streaming=server,
        )
    return descriptor_pb2.FileDescriptorSet(file=[wrappers, shop] if complete else [shop]).SerializeToString()


def _add_item(shop: descriptor_pb2.FileDescriptorProto) -> None:
    field = descriptor_pb2.FieldDescriptorProto
    kinds = {
        "item_id": field.TYPE_INT64,
        "octets": field.TYPE_BYTES,
        "price": field.TYPE_DOUBLE,
        "weight": field.TYPE_FLOAT,
        "on_sale": field.TYPE_BOOL,
        "count": field.TYPE_UINT32,
    }
    size = shop.enum_type.add(name="Size")
    for number, name in enumerate(("SMALL", "LARGE")):
        size.value.add(name=name, number=number)
    item = shop.message_type.add(name="Item")
    for number, (name, kind) in enumerate(kinds.items(), 1):
        item.field.add(name=name, number=number, type=kind, label=field.LABEL_OPTIONAL)
    item.field.add(name="size", number=7, type=field.TYPE_ENUM, type_name=".shop.Size", label=field.LABEL_OPTIONAL)
    item.field.add(name="parts", number=8, type=field.TYPE_MESSAGE, type_name=".shop.Item", label=field.LABEL_REPEATED)


def framed(message: bytes, *, flag: int = 0, size: int | None = None) -> bytes:
    """Return a gRPC body: the compression flag, the size, the message."""
    return struct.pack(">BI", flag, len(message) if size is None else size) + message


ITEM = (
    b"\x08\x07\x12\x01\xff\x19"
    + struct.pack("<d", 0.1)
    + b"\x25"
    + struct.pack("<f", 1.5)
    + b"\x28\x01\x30\x05\x38\x01"
    b"\x42\x02\x08\x01"
)
"""An encoded `shop.Item` with every field."""
