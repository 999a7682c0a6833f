from typing import Any

import pytest

from tests.authorization.parts import document
from tests.envoy.checks import check
from ztag_extauthz.authorization.input.opa_body import MAX_BYTES
from ztag_extauthz.authorization.input.parse_error import ParseError

JSON = "application/json"


def parsed(content_type: str | None, body: str = "", raw_body: bytes = b"", **headers: str) -> tuple[Any, bool]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = named if content_type is None else {"content-type": content_type, **named}
    found = document(check(headers=sent, body=body, raw_body=raw_body))
    return found["parsed_body"], found["truncated_body"]


@pytest.mark.parametrize(
    "content_type", [JSON, "application/json; charset=utf-8", "application/jsonp", "x application/json"]
)
def test_json_is_found_anywhere_in_the_content_type(content_type: str) -> None:
    assert parsed(content_type, '{"a": 1}') == ({"a": 1}, False)
    assert parsed(content_type, raw_body=b'{"a": 1}') == ({"a": 1}, False)


@pytest.mark.parametrize(
    "content_type", ["application/problem+json", "Application/JSON", "text/plain", "", None, "application/grpc"]
)
def test_what_is_not_understood_is_null(content_type: str | None) -> None:
    assert parsed(content_type, '{"a": 1}') == (None, False)


def test_the_text_counts_before_the_octets() -> None:
    assert parsed(JSON, "1", b"2") == (1, False)


@pytest.mark.parametrize("content_type", [JSON, "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"])
def test_an_empty_body_is_null_whatever_its_length_says(content_type: str) -> None:
    assert parsed(content_type, content_length="x") == (None, False)


def test_forms_are_read() -> None:
    assert parsed("application/x-www-form-urlencoded", "a=1&a=2&b=c+d") == ({"a": ["1", "2"], "b": ["c d"]}, False)
    form = '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n'
    assert parsed("multipart/form-data; boundary=b", form) == ({"a": ["1"]}, False)


@pytest.mark.parametrize("content_type", [JSON, "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"])
def test_a_body_shorter_than_announced_is_truncated(content_type: str) -> None:
    assert parsed(content_type, "{", content_length="2") == (None, True)


def test_the_length_counts_octets() -> None:
    assert parsed(JSON, '"é"', content_length="4") == ("é", False)
    assert parsed(JSON, '"é"', content_length="5") == (None, True)


@pytest.mark.parametrize("length", ["+1", "001", "-2", "-1", "0", "1"])
def test_lengths_that_go_reads(length: str) -> None:
    assert parsed(JSON, "7", content_length=length) == (7, False)


@pytest.mark.parametrize("length", [" 7", "7 ", "1_0", "\u0669", "", "0x7", "1.0", "9" * 19, "-" + "9" * 5000, "++1"])
def test_lengths_that_go_refuses(length: str) -> None:
    with pytest.raises(ParseError):
        parsed(JSON, "7", content_length=length)
    assert parsed("text/plain", "7", content_length=length) == (None, False)


def test_s19_a_cut_body_is_told_before_anything_is_read() -> None:
    for content_type in (JSON, "text/plain", None, "application/grpc"):
        assert parsed(content_type, "{", x_envoy_auth_partial_body="true") == (None, True)
    assert parsed(JSON, "1", x_envoy_auth_partial_body="false") == (1, False)


def test_octets_that_are_no_utf8_are_replaced_within_strings_and_refused_elsewhere() -> None:
    assert parsed(JSON, raw_body=b'"a\xffb"') == ("a\ufffdb", False)
    with pytest.raises(ParseError):
        parsed(JSON, raw_body=b"\xff")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON, " "),
        (JSON, "{"),
        ("application/x-www-form-urlencoded", "a=%zz"),
        ("multipart/form-data; boundary=b", "x"),
    ],
)
def test_bad_bodies_are_refused(content_type: str, body: str) -> None:
    with pytest.raises(ParseError):
        parsed(content_type, body)


@pytest.mark.parametrize("content_type", [JSON, "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"])
def test_a_body_that_would_take_long_is_refused(content_type: str) -> None:
    with pytest.raises(ParseError, match="too large"):
        parsed(content_type, "1" * (MAX_BYTES + 1))
    assert parsed("text/plain", "1" * (MAX_BYTES + 1)) == (None, False)


def test_a_body_at_the_bound_is_read() -> None:
    assert parsed(JSON, " " * (MAX_BYTES - 1) + "1") == (1, False)
