import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.authentication.parts import encode
from ztag_extauthz.authentication.jose.text import MAX_DEPTH, decode_base64url, decode_object

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.binary(max_size=100))
def test_reads_what_it_should(data: bytes) -> None:
    assert decode_base64url(encode(data).encode()) == data


@given(st.binary(max_size=40) | st.text("AQgwZ_-+/= \n", max_size=12).map(str.encode))
def test_each_value_has_one_spelling(text: bytes) -> None:
    try:
        data = decode_base64url(text)
    except ValueError:
        return
    assert base64.urlsafe_b64encode(data).rstrip(b"=") == text


@pytest.mark.parametrize(
    "text", [b"A", b"AB", b"AAB", b"AA==", b"AAA=", b"A+AA", b"A/AA", b"AAAA\n", b" AAA", b"A\xc3"]
)
def test_refuses_other_spellings(text: bytes) -> None:
    with pytest.raises(ValueError, match="base64url"):
        decode_base64url(text)


@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_reads_json_as_others_do(value: dict[str, Any]) -> None:
    assert decode_object(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":2}',
        b'{"x":{"a":1,"\\u0061":2}}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":1e400}',
        b'{"a":01}',
        b"[]",
        b"1",
        b"null",
        b"",
        b"{} {}",
        b"\xef\xbb\xbf{}",
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        b'{"\\udfff":1}',
        b"{'a':1}",
        b'{"a":1,}',
        b'{"a":"\n"}',
        b'{"a":' + b"9" * 5000 + b"}",
    ],
)
def test_s23_refuses_json_that_readers_take_differently(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_object(text)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
@pytest.mark.parametrize("levels", [MAX_DEPTH, 1_000, 100_000])
def test_s23_refuses_deep_json(opening: bytes, closing: bytes, levels: int) -> None:
    with pytest.raises(ValueError, match="deeply"):
        decode_object(b'{"a":' + opening * levels + b"1" + closing * levels + b"}")


def test_depth_counts_levels_and_not_brackets() -> None:
    wide = json.dumps({"groups": ["[{"] * 100, "roles": [{"a": []}] * 100}).encode()
    assert len(decode_object(wide)["roles"]) == 100
    deep = b'{"a":' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}"
    assert "a" in decode_object(deep)


def test_a_whole_surrogate_pair_is_text() -> None:
    assert decode_object(b'{"a":"\\ud83d\\ude00"}') == {"a": "\U0001f600"}
