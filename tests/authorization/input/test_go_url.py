from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ztag_extauthz.authorization.input.go_url import MAX_PARAMETERS, parse_query, text, unescape
from ztag_extauthz.authorization.input.parse_error import ParseError

texts = st.text(st.characters(codec="utf-8"))


@given(texts)
def test_an_escaped_text_comes_back(written: str) -> None:
    assert unescape(quote(written, safe="")) == written


@given(st.lists(st.tuples(texts.filter(bool), texts), max_size=10))
def test_a_written_query_comes_back(pairs: list[tuple[str, str]]) -> None:
    expected: dict[str, list[str]] = {}
    for name, value in pairs:
        expected.setdefault(name, []).append(value)
    assert parse_query(urlencode(pairs)) == expected


@pytest.mark.parametrize("escaped", ["%", "%1", "%zz", "a%", "%%41", "%u0041", "%\uff11\uff11"])
def test_a_bad_escape_is_refused(escaped: str) -> None:
    with pytest.raises(ParseError, match="invalid URL escape"):
        unescape(escaped)
    with pytest.raises(ParseError):
        parse_query(f"a={escaped}")


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("", {}),
        ("a=1&b=2&a=3", {"a": ["1", "3"], "b": ["2"]}),
        ("a", {"a": [""]}),
        ("=v", {"": ["v"]}),
        ("&&a=1&", {"a": ["1"]}),
        ("a=b=c", {"a": ["b=c"]}),
        ("a+b=c%20d%2B", {"a b": ["c d+"]}),
        ("a=%FF", {"a": ["\ufffd"]}),
    ],
)
def test_queries_are_read_as_go_does(query: str, values: dict[str, list[str]]) -> None:
    assert parse_query(query) == values


def test_a_semicolon_in_a_query_is_refused() -> None:
    with pytest.raises(ParseError, match="semicolon"):
        parse_query("a=1;b=2")


def test_s34_ten_thousand_parameters_are_the_most() -> None:
    assert len(parse_query("&".join(f"a{number}=" for number in range(MAX_PARAMETERS)))) == MAX_PARAMETERS
    with pytest.raises(ParseError, match="exceeded"):
        parse_query("&" * MAX_PARAMETERS)


@pytest.mark.parametrize(
    ("octets", "decoded"),
    [(b"\xff", "\ufffd"), (b"\xe2\x82", "\ufffd\ufffd"), (b"\xed\xa0\x80", "\ufffd" * 3), (b"a", "a")],
)
def test_each_byte_that_is_no_utf8_is_one_replacement(octets: bytes, decoded: str) -> None:
    assert text(octets) == decoded
