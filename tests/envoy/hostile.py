"""CheckRequests as nobody writes them: fields of any kind in any place, twice, cut off, in odd encodings."""

from typing import Any, TypeAlias

from hypothesis import strategies as st

from tests.envoy.checks import check, connection, listed
from ztag_extauthz.again import UNLIKE_HEADERS

Place: TypeAlias = tuple[int, ...]
"""The numbers of the fields on the way."""

SOURCE_PORT: Place = (1, 1, 1, 1, 3)
TIME: Place = (1, 4, 1)
ID: Place = (1, 4, 2, 1)
HEADERS: Place = (1, 4, 2, 3)
HEADER_MAP: Place = (1, 4, 2, 13)
ON_THE_WAY = frozenset(
    place[:length] for place in (SOURCE_PORT, ID, (*HEADER_MAP, 1)) for length in range(1, len(place))
)

MESSAGES = [
    one.SerializeToString()
    for one in (
        check("/orders?a=b", headers={"x-request-id": "7", "traceparent": "00-1", "cookie": "a=b"}, body="{}"),
        listed([("x-request-id", b"7"), ("b3", b"0"), ("accept", b"*/*")]),
        connection(),
    )
]
_BYTES = st.binary(max_size=4)
_NAMES = st.sampled_from([*(name.encode() for name in UNLIKE_HEADERS[:3]), b"X-Request-Id", b"x-request-i", b"te", b""])
_VALUES = st.sampled_from([b"", b"1", b"00-ab-cd", b"a b", b"\xff", b"\n", b"~"])
_NUMBERS = st.sampled_from(
    [b"\0", b"\1", b"\x80\0", b"\x80\1", b"\xff" * 9 + b"\1", b"\xff" * 9 + b"\x7f", b"\x80", b""]
)
_LEAVES = {
    SOURCE_PORT: _NUMBERS,
    TIME: st.builds(lambda one, other: b"\x08" + one + b"\x10" + other, _NUMBERS, _NUMBERS) | _BYTES,
    ID: st.sampled_from([b"", b"0", b"17", b"18446744073709551615", b"999999999999999999999", b"1a", b"\xff"]),
}


def varint(number: int, longer: int = 0) -> bytes:
    """Encode a number, with so many bytes more than it needs."""
    octets = [number >> shift & 0x7F for shift in range(0, max(number.bit_length(), 1), 7)] + [0] * longer
    return bytes([*(octet | 0x80 for octet in octets[:-1]), octets[-1]])


def _field(number: int, wire: int, content: bytes, longer: int) -> bytes:
    return varint(number << 3 | wire, longer // 3) + (varint(len(content), longer % 3) if wire == 2 else b"") + content


def _header(odd: int, name: bytes, value: bytes, further: bytes) -> bytes:
    parts = [_field(1, 2, name, 0), _field(3 if odd == 1 else 2, 2, value, 0)]
    return b"".join(reversed(parts) if odd == 2 else parts) + (further if odd == 3 else b"")


_HEADER = st.builds(_header, st.sampled_from([0, 0, 0, 0, 1, 1, 2, 3]), _NAMES, _VALUES, _BYTES)
_LONGER = st.sampled_from([0] * 12 + [1, 2, 3])


@st.composite
def fields(draw: Any, place: Place = ()) -> tuple[bytes, bytes]:
    """Two encodings of fields of the message at a place, which differ in nothing but in what may differ each time."""
    one, other = b"", b""
    for _ in range(draw(st.integers(1, 4 if place in {HEADERS[:-1], HEADER_MAP} else 2))):
        mine, its = draw(_one_field(place))
        one, other = one + mine, other + its
    return one, other


@st.composite
def _one_field(draw: Any, place: Place) -> tuple[bytes, bytes]:
    known = sorted(
        {step[len(place)] for step in (*ON_THE_WAY, *_LEAVES, HEADERS) if step[: len(place)] == place < step}
    )
    number = draw(st.sampled_from([*known * 4, 2, 4, 16]))
    at, longer = (*place, number), draw(_LONGER)
    odd = draw(st.integers(0, 20)) == 0
    wire = draw(st.sampled_from([0, 1, 2, 3, 4, 5])) if odd else 0 if at == SOURCE_PORT else 2
    if at in ON_THE_WAY and wire == 2:
        contents = draw(fields(at))
    elif at in _LEAVES:
        contents = [draw(_LEAVES[at]), draw(_LEAVES[at])]
    elif at in {HEADERS, (*HEADER_MAP, 1)} and wire == 2:
        contents = draw(st.tuples(_HEADER, _HEADER) | _HEADER.map(lambda one: (one, one)))
    else:
        contents = [draw(_BYTES)] * 2
    one, other = (_field(number, wire, content, longer) for content in contents)
    return one, other
