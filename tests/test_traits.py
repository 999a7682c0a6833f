"""Client address, route and the parts that keys are made of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.requests import make_identity, make_request
from ztag_extauthz.traits import client_address, is_of_identity, network, part, route


@pytest.mark.parametrize(
    ("forwarded", "proxies", "expected"),
    [
        ("203.0.113.9", 0, "10.0.0.1"),
        ("203.0.113.9", 1, "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9", 1, "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9,10.9.9.9", 2, "203.0.113.9"),
        ("203.0.113.9", 2, "10.0.0.1"),
        ("", 1, "10.0.0.1"),
        ("not an address", 1, "10.0.0.1"),
        ("2001:db8:1:2:3::4", 1, "2001:db8:1:2::/64"),
    ],
)
def test_a_client_cannot_choose_its_address(forwarded: str, proxies: int, expected: str) -> None:
    """What stands left of the trusted proxies' entries is the client's own claim."""
    request = make_request(headers={"x-forwarded-for": forwarded})
    assert client_address(request, proxies) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("010.0.0.1", ""),
        ("", ""),
        ("a" * 5000, ""),
    ],
)
def test_network(address: str, expected: str) -> None:
    assert network(address) == expected


@given(st.text())
def test_network_takes_anything(text: str) -> None:
    assert isinstance(network(text), str)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/orders/17/items?x=1", "/orders/*/items"),
        ("/u/6ba7b810-9dad-11d1-80b4-00c04fd430c8", "/u/*"),
        ("/blob/0123456789abcdef0123", "/blob/*"),
        ("/1/2/3", "/*/*/*"),
        ("/v2/users/me", "/v2/users/me"),
        ("/", "/"),
        ("", ""),
    ],
)
def test_route(path: str, expected: str) -> None:
    assert route(path) == expected


def test_parts() -> None:
    request = make_request(headers={"x-api-key": "k"}, context_extensions={"route": "r"})
    identity = make_identity(claims={"tenant": "t"})
    names = ("address", "method", "host", "path", "route", "header:X-Api-Key", "extension:route", "subject", "issuer")
    values = [part(name)(request, identity) for name in (*names, "kind", "claim:tenant", "claim:none", "principal")]
    assert values[:7] == ["10.0.0.1", "GET", "app.example", "/orders/17", "/orders/*", "k", "r"]
    assert values[7:] == ["https://issuer.example alice", "https://issuer.example", "jwt", "t", "", ""]
    assert part("subject")(request, None) == ""


@pytest.mark.parametrize("host", ["app.example", "APP.example", "app.example.", "app.example:1", "app.example.:"])
def test_a_client_cannot_choose_how_its_host_is_counted(host: str) -> None:
    assert part("host")(make_request(host=host), None) == "app.example"


@pytest.mark.parametrize("name", ["", "colour", "header", "claim:", "subject:x"])
def test_an_unknown_part_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match=r"is no part of a request or an identity: address, method, .*header:NAME"):
        part(name)


def test_is_of_identity() -> None:
    assert is_of_identity("claim:tenant")
    assert not is_of_identity("address")
