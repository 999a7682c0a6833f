"""Two messages with one fingerprint differ in nothing that a decision can depend on; protobuf itself is the judge."""

import importlib.util
from collections.abc import Iterable, Iterator
from random import Random
from typing import Any

import numpy as np
import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import given
from hypothesis import strategies as st

from loadtest.fuzz.recurring import same
from tests.envoy.checks import check, connection, listed
from tests.envoy.hostile import MESSAGES, fields
from ztag_extauthz.again import UNLIKE_HEADERS
from ztag_extauthz.envoy.fingerprint import MAX_MESSAGE, Fingerprints
from ztag_extauthz.stores import kernels

PRINTS = Fingerprints()


def agree(one: bytes, other: bytes) -> None:
    mark = PRINTS.of(one)
    if mark is not None and mark == PRINTS.of(other):
        assert same(one) == same(other)


@given(fields(), fields())
def test_one_fingerprint_means_one_request_however_it_is_written(
    pair: tuple[bytes, bytes], another: tuple[bytes, bytes]
) -> None:
    agree(*pair)
    agree(pair[0], another[0])


@pytest.mark.parametrize("message", MESSAGES)
def test_of_all_messages_that_differ_in_one_byte_those_with_one_fingerprint_are_one_request(message: bytes) -> None:
    mark, expected = PRINTS.of(message), same(message)
    for place in range(len(message)):
        for octet in {0, 1, 7, 8, 0x10, 0x20, 0x31, 0x7F, 0x80, 0xFF, message[place] ^ 1, message[place] ^ 8}:
            other = bytes([*message[:place], octet, *message[place + 1 :]])
            if PRINTS.of(other) == mark:
                assert same(other) == expected
        for other in (message[:place], message[:place] + message[place + 1 :], message[:place] + message[place:] * 2):
            if PRINTS.of(other) == mark:
                assert same(other) == expected


@given(
    st.binary(max_size=200)
    | st.builds(lambda one, junk: one[: len(junk)] + junk, st.sampled_from(MESSAGES), st.binary())
)
def test_any_bytes_have_a_fingerprint_or_none(message: bytes) -> None:
    assert PRINTS.of(message) == PRINTS.of(message)


class Within(bytes):
    """Raises where a compiled kernel would read beyond."""

    def __getitem__(self, place: Any) -> Any:
        assert place >= 0
        return super().__getitem__(place)


class Written(bytearray):
    def __setitem__(self, place: Any, octet: Any) -> None:
        assert place >= 0
        super().__setitem__(place, octet)


@pytest.fixture(scope="module")
def plain() -> Iterator[Any]:
    """The kernel as Python runs it, which checks every place."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "inlined", lambda function: function)
        patch.setattr(kernels, "kernel", lambda *_: lambda function: function)
        spec = importlib.util.find_spec("ztag_extauthz.envoy.fingerprint_kernel")
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module


@given(fields(), st.integers(0, 60), st.binary(max_size=3))
def test_the_kernel_stays_within_the_message_and_writes_no_more_than_it(
    plain: Any, pair: tuple[bytes, bytes], cut: int, junk: bytes
) -> None:
    for message in (pair[0], pair[0][:cut], pair[0][:cut] + junk + pair[0][cut:]):
        rows = np.zeros((plain.ENTRIES, plain.COLUMNS), np.int64)
        size = plain._walk(Within(message), Written(len(message)), rows, [0] * plain.FOUND)
        assert size <= len(message)
        assert (size >= 0) == (PRINTS.of(message) is not None)


def leaves(kind: Descriptor, depth: int = 0) -> Iterator[tuple[FieldDescriptor, ...]]:
    """Yield the way to each field that is no message; what can be in itself once."""
    for field in kind.fields:
        if field.message_type is None or field.message_type.GetOptions().map_entry or field.message_type.name == "Any":
            yield (field,)
        elif depth < 8 and field.message_type.full_name not in {"google.protobuf.Struct", kind.full_name}:
            yield from ((field, *rest) for rest in leaves(field.message_type, depth + 1))


def put(message: Any, way: tuple[FieldDescriptor, ...], which: int) -> None:
    """Put one of two values there, neither of them the default."""
    *through, last = way
    for field in through:
        inner = getattr(message, field.name)
        message = inner.add() if field.is_repeated else inner
    if last.message_type is None:
        value: Any = {
            FieldDescriptor.CPPTYPE_STRING: str(which),
            FieldDescriptor.CPPTYPE_BOOL: which == 2,
            FieldDescriptor.CPPTYPE_ENUM: which - 1,
        }.get(last.cpp_type, which)
        if last.type == FieldDescriptor.TYPE_BYTES:
            value = str(which).encode()
        setattr(message, last.name, value)
    elif last.message_type.name == "Any":
        getattr(message, last.name).type_url = str(which)
    else:
        entries, kind = getattr(message, last.name), last.message_type.fields_by_name["value"]
        if kind.message_type is None:
            entries[str(which)] = "1"
        else:
            entries[str(which)].SetInParent()


WAYS = {".".join(field.name for field in way[1:]): way for way in leaves(CheckRequest.DESCRIPTOR)}
LEFT_OUT = {
    "source.address.socket_address.port_value",
    "request.time.seconds",
    "request.time.nanos",
    "request.http.id",
}


@pytest.mark.parametrize("name", WAYS)
def test_every_field_counts_but_those_that_differ_each_time(name: str) -> None:
    one, other = CheckRequest(), CheckRequest()
    put(one, WAYS[name], 1)
    put(other, WAYS[name], 2)
    marks = [PRINTS.of(message.SerializeToString()) for message in (one, other)]
    assert None not in marks
    assert (marks[0] == marks[1]) == (name in LEFT_OUT)


def test_all_that_is_left_out_is_in_the_message() -> None:
    assert WAYS.keys() >= LEFT_OUT


def volatile(message: CheckRequest, number: int) -> bytes:
    """Write what Envoy writes anew for each request."""
    attributes = message.attributes
    attributes.source.address.socket_address.port_value = 1024 + number
    attributes.request.time.seconds, attributes.request.time.nanos = 1_700_000_000 + number, number * 1000
    if attributes.request.HasField("http"):
        attributes.request.http.id = str(number * 7_777_777_777_777 + 1)
    return bytes(message.SerializeToString())


@given(st.integers(0, 60_000), st.integers(0, 60_000))
def test_what_envoy_writes_anew_for_each_request_changes_nothing(one: int, other: int) -> None:
    for make in (check, connection, lambda: listed([("accept", b"*/*")])):
        assert PRINTS.of(volatile(make(), one)) == PRINTS.of(volatile(make(), other)) is not None


@pytest.mark.parametrize("name", UNLIKE_HEADERS)
def test_of_headers_that_differ_each_time_the_name_counts_and_the_value_does_not(name: str) -> None:
    def marks(*values: str) -> set[bytes | None]:
        in_map = {PRINTS.of(check(headers={name: value}).SerializeToString()) for value in values}
        in_list = {PRINTS.of(listed([(name, value.encode())]).SerializeToString()) for value in values}
        assert len(in_map) == len(in_list)
        return in_map

    assert len(marks("1", "a longer one, of two parts")) == 1
    assert len(marks("1", "", "\x01", "\xe9")) == 4
    assert marks("1").isdisjoint({PRINTS.of(check().SerializeToString())})
    assert len({PRINTS.of(check(headers={name.title(): value}).SerializeToString()) for value in "12"}) == 2


def test_the_name_of_the_request_is_found() -> None:
    message = check().SerializeToString()
    assert PRINTS.of(message)
    assert PRINTS.name(message) == b"17"
    message = connection().SerializeToString()
    assert PRINTS.of(message)
    assert PRINTS.name(message) == b""


def test_a_port_of_0_is_none() -> None:
    one, other = connection(), connection()
    one.attributes.source.address.socket_address.port_value = 0
    other.attributes.source.address.socket_address.port_value = 1
    assert PRINTS.of(one.SerializeToString()) != PRINTS.of(other.SerializeToString())


def test_a_large_message_has_none() -> None:
    assert PRINTS.of(check(body="a" * (MAX_MESSAGE - 1000)).SerializeToString()) is not None
    assert PRINTS.of(check(body="a" * MAX_MESSAGE).SerializeToString()) is None


def test_nobody_can_tell_a_fingerprint_beforehand() -> None:
    message = check().SerializeToString()
    assert PRINTS.of(message) != Fingerprints().of(message)


def _request(entries: Iterable[tuple[str, str]]) -> bytes:
    """Encode a CheckRequest whose headers stand in this order."""
    http = b"".join(_field(3, _field(1, name.encode()) + _field(2, value.encode())) for name, value in entries)
    return _field(1, _field(4, _field(2, http)))


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


@given(st.dictionaries(st.text("abx-", min_size=1, max_size=3), st.text("ab", max_size=2), max_size=6), st.randoms())
def test_the_order_of_a_map_does_not_count(headers: dict[str, str], dice: Random) -> None:
    entries = list(headers.items())
    mixed = dice.sample(entries, len(entries))
    assert PRINTS.of(_request(entries)) == PRINTS.of(_request(mixed)) is not None


@given(st.permutations([("a", "1"), ("b", "2"), ("a", "3")]))
def test_a_name_that_is_there_twice_has_no_fingerprint(entries: list[tuple[str, str]]) -> None:
    assert PRINTS.of(_request(entries)) is None
