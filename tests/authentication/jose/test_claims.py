import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.authentication.parts import NOW, claims
from ztag_extauthz.authentication.jose.claims import Expected, why_not

EXPECTED = Expected(frozenset({"mesh", "edge"}), frozenset({"at+jwt", ""}), "sub", 5.0)


def why(kind: str = "at+jwt", **changes: Any) -> str:
    return why_not(claims(**changes), kind, EXPECTED, NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"aud": "edge"},
        {"aud": ["other", "mesh"]},
        {"nbf": None, "iat": None},
        {"exp": NOW + 0.5},
        {"exp": NOW - 4.9},
        {"nbf": NOW + 5, "iat": NOW + 5},
        {"kind": ""},
    ],
)
def test_accepts(changes: dict[str, Any]) -> None:
    assert why(**changes) == ""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "jwt"}, "type"),
        ({"kind": "dpop+jwt"}, "type"),
        ({"aud": None}, "audience"),
        ({"aud": "other"}, "audience"),
        ({"aud": "Mesh"}, "audience"),
        ({"aud": "mesh "}, "audience"),
        ({"aud": []}, "audience"),
        ({"aud": ["mesh", 1]}, "audience"),
        ({"aud": [["mesh"]]}, "audience"),
        ({"aud": {"mesh": 1}}, "audience"),
        ({"sub": None}, "stands for"),
        ({"sub": ""}, "stands for"),
        ({"sub": 1}, "stands for"),
        ({"sub": ["alice"]}, "stands for"),
        ({"exp": None}, "no date"),
        ({"exp": NOW - 5}, "expired"),
        ({"exp": 0}, "expired"),
        ({"exp": str(NOW + 600)}, "no date"),
        ({"exp": True}, "no date"),
        ({"exp": -1}, "no date"),
        ({"exp": [NOW + 600]}, "no date"),
        ({"nbf": NOW + 6}, "not valid yet"),
        ({"nbf": "0"}, "no date"),
        ({"nbf": False}, "no date"),
        ({"iat": NOW + 6}, "not valid yet"),
        ({"iat": {}}, "no date"),
    ],
)
def test_refuses(changes: dict[str, Any], words: str) -> None:
    assert words in why(**changes)


def test_s23_an_expiry_in_milliseconds_is_no_date() -> None:
    assert "no date" in why(exp=int(NOW + 600) * 1000)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400])
def test_s23_numbers_beyond_numbers_are_no_dates(value: float) -> None:
    for answer in (why(exp=value), why(nbf=value), why(iat=value)):
        assert "no date" in answer


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()))
def test_only_a_later_number_is_an_expiry(value: Any) -> None:
    accepted = why(exp=value) == ""
    assert accepted == (type(value) in (int, float) and NOW - 5 < value <= 253_402_300_799)


def test_the_subject_may_be_another_claim() -> None:
    expected = Expected(frozenset({"mesh"}), frozenset({"at+jwt"}), "client_id", 0.0)
    assert why_not(claims(client_id=None), "at+jwt", expected, NOW) != ""
    assert why_not(claims(client_id="svc", sub=None), "at+jwt", expected, NOW) == ""
