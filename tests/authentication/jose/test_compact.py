import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.authentication.parts import claims, encode, sign, token
from ztag_extauthz.authentication.jose.compact import MAX_KEY_ID, TokenError, parse, take_apart

PAYLOAD = json.dumps(claims()).encode()


def with_header(**header: Any) -> str:
    return sign(json.dumps(header).encode(), PAYLOAD)


def test_takes_a_token_apart() -> None:
    parsed = parse(token(header={"typ": "Application/AT+JWT"}))
    assert (parsed.algorithm, parsed.key_id, parsed.type) == ("RS256", "RS256", "at+jwt")
    assert parsed.claims == claims()
    assert len(parsed.signature) == 256


def test_a_header_that_comes_again_says_the_same_and_cannot_be_changed() -> None:
    first, again = (take_apart(token(sub=name)) for name in ("ann", "ben"))
    assert first.header == again.header
    assert first.claims != again.claims
    with pytest.raises(TypeError):
        first.header["alg"] = "none"  # type: ignore[index]


def test_kid_and_typ_may_be_left_out() -> None:
    parsed = parse(with_header(alg="RS256"))
    assert (parsed.key_id, parsed.type) == (None, "")


@pytest.mark.parametrize("text", ["", ".", "..", "...", "a.b", "a.b.c.d", "a.b.c.d.e", "e30.e30", ".e30.", "e30..AA"])
def test_refuses_what_is_no_token(text: str) -> None:
    with pytest.raises(TokenError):
        parse(text)


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"alg": None},
        {"alg": ["RS256"]},
        {"alg": "RS256", "typ": 1},
        {"alg": "RS256", "typ": ""},
        {"alg": "RS256", "typ": "application/"},
        {"alg": "RS256", "kid": 1},
        {"alg": "RS256", "kid": "k" * (MAX_KEY_ID + 1)},
        {"alg": "RS256", "crit": ["exp"], "exp": 1},
        {"alg": "RS256", "crit": []},
        {"alg": "RS256", "crit": None},
        {"alg": "RS256", "b64": False, "crit": ["b64"]},
        {"alg": "RS256", "b64": False},
        {"alg": "RS256", "b64": True},
    ],
)
def test_s23_refuses_headers_it_does_not_understand(header: dict[str, Any]) -> None:
    with pytest.raises(TokenError):
        parse(with_header(**header))


@pytest.mark.parametrize("payload", [b'{"sub":"a","sub":"b"}', b"[]", b"text", b'{"exp":NaN}', b"\xff", b""])
def test_s23_refuses_payloads_with_two_readings(payload: bytes) -> None:
    with pytest.raises(TokenError):
        parse(sign(b'{"alg":"RS256"}', payload))


@pytest.mark.parametrize(
    "change", [lambda t: t + "=", lambda t: t + "\n", lambda t: " " + t, lambda t: t.replace(".", "=.", 1)]
)
def test_s23_refuses_a_second_spelling(change: Any) -> None:
    with pytest.raises(TokenError):
        parse(change(token()))


@given(
    st.text(st.characters(max_codepoint=127), max_size=200)
    | st.lists(st.binary(max_size=40).map(encode), min_size=3, max_size=3).map(".".join)
)
def test_whatever_comes_the_answer_is_a_token_error(text: str) -> None:
    with pytest.raises(TokenError):
        parse(text)
