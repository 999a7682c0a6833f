from envoy.config.core.v3.base_pb2 import HeaderValueOption
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import BytesValue, UInt64Value
from hypothesis import given
from hypothesis import strategies as st

from ztag_extauthz.envoy import encoding

texts = st.text(st.characters(codec="utf-8"), max_size=300)


@given(st.integers(1, 2**64 - 1))
def test_a_number_is_written_as_protobuf_does(number: int) -> None:
    assert b"\x08" + encoding.varint(number) == UInt64Value(value=number).SerializeToString()


@given(st.binary(min_size=1, max_size=70_000))
def test_a_field_is_written_as_protobuf_does(content: bytes) -> None:
    assert encoding.field(1, content) == BytesValue(value=content).SerializeToString()


@given(texts, texts)
def test_a_header_overwrites_in_both_ways(name: str, value: str) -> None:
    option = HeaderValueOption.FromString(encoding.overwriting_header(name, value))
    assert (option.header.key, option.header.value) == (name, value)
    assert option.HasField("append")
    assert not option.append.value
    assert option.append_action == HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD


@given(texts, texts, texts)
def test_structs_are_written_as_protobuf_does(name: str, inner: str, value: str) -> None:
    entry = encoding.struct_entry(
        name, encoding.struct_value(encoding.struct_entry(inner, encoding.string_value(value)))
    )
    expected = Struct()
    expected[name] = {inner: value}
    assert Struct.FromString(entry) == expected
