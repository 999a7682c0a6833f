from typing import Any

import pytest
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


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)


@given(texts, values)
def test_structs_are_written_as_protobuf_does(name: str, value: Any) -> None:
    expected = Struct()
    expected.update({name: value})
    assert Struct.FromString(encoding.struct_entry(name, encoding.value(value))) == expected


def test_what_no_struct_can_hold_is_not_written() -> None:
    with pytest.raises(TypeError):
        encoding.value({1, 2})
