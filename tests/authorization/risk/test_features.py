"""What a request looks like to the scorer."""

from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.requests import make_identity, make_request
from ztag_extauthz.authorization.risk.features import Features, agent
from ztag_extauthz.authorization.risk.layout import (
    ADDRESS,
    AGENT,
    FINGERPRINT,
    HASHES,
    LATITUDE,
    LISTED,
    LOCATED,
    NETWORK,
    NUMBERS,
    ROUTE,
    TOKEN_AGE,
    USER,
)
from ztag_extauthz.stores.addresses import AddressSet, Place
from ztag_extauthz.stores.digest import hasher

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
)
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5 Mobile/15E148 Safari/604.1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CHROME, ("Chrome/126", "Windows NT 10.0")),
        (CHROME + " Edg/126.0", ("Chrome/126", "Windows NT 10.0")),
        (IPHONE, ("Version/17", "iPhone OS 17")),
        ("curl/8.5.0", ("curl", "")),
        ("", ("", "")),
    ],
)
def test_agent(text: str, expected: tuple[str, str]) -> None:
    assert agent(text) == expected


def rows(features: Features, **of: Any) -> "tuple[array[int], array[float]]":
    row, facts = array("q", bytes(8 * HASHES)), array("d", bytes(8 * NUMBERS))
    features.fill(row, facts, of.pop("request", make_request()), of.pop("identity", make_identity()), 1000.0)
    return row, facts


def test_the_same_request_makes_the_same_row_and_another_user_another() -> None:
    features = Features(hasher(b"k"))
    assert rows(features) == rows(features)
    assert rows(features)[0][USER] != rows(features, identity=make_identity("bob"))[0][USER]
    assert rows(features)[0][USER] != rows(features, identity=make_identity(issuer="https://other"))[0][USER]


def test_what_is_not_there_is_nothing() -> None:
    row, facts = rows(Features(hasher(b"k")))
    assert [row[column] for column in (AGENT, NETWORK, FINGERPRINT)] == [0, 0, 0]
    assert (facts[TOKEN_AGE], facts[LOCATED], facts[LISTED]) == (-1.0, 0.0, 0.0)


def test_places_threats_fingerprint_and_the_token_are_read() -> None:
    features = Features(
        hasher(b"k"), lambda _: Place("DE", 64496, 52.5, 13.4, located=True), AddressSet(["10.0.0.0/8"]), "X-JA4"
    )
    row, facts = rows(
        features, request=make_request(headers={"x-ja4": "t13"}), identity=make_identity(claims={"iat": 400})
    )
    assert all(row[column] for column in (NETWORK, FINGERPRINT))
    assert (facts[TOKEN_AGE], facts[LOCATED], facts[LISTED], facts[LATITUDE]) == (600.0, 1.0, 1.0, 52.5)


def test_nobodies_are_told_apart_by_their_address() -> None:
    features, nobody = Features(hasher(b"k")), make_identity("", kind="anonymous")
    users = {
        rows(features, request=make_request(address), identity=nobody)[0][USER] for address in ("10.0.0.1", "10.0.0.2")
    }
    assert len(users) == 2


def test_a_route_is_of_a_host_and_a_method() -> None:
    features = Features(hasher(b"k"))
    requests = [make_request(path="/a/1"), make_request(path="/a/2"), make_request(path="/a/1", method="PUT")]
    first, second, third = (rows(features, request=request)[0][ROUTE] for request in requests)
    assert first == second != third


def test_a_host_is_one_however_it_is_written() -> None:
    features = Features(hasher(b"k"))
    hosts = ("shop.example", "Shop.example.:443", "other.example")
    first, second, third = (rows(features, request=make_request(host=host))[0][ROUTE] for host in hosts)
    assert first == second != third


@given(st.text(st.characters(exclude_categories=())), st.text(), st.floats())
def test_nothing_that_a_client_sends_is_too_strange(user_agent: str, path: str, issued: float) -> None:
    request = make_request(headers={"user-agent": user_agent}, path=path)
    row, _ = rows(Features(hasher(b"k")), request=request, identity=make_identity(claims={"iat": issued}))
    assert row[ADDRESS] > 0
