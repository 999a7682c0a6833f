import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ztag_extauthz.hosts import HostPattern, host_of, is_at, is_loopback

PATTERN: TypeAdapter[str] = TypeAdapter(HostPattern)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("a.b", False)],
)
def test_loopback(host: str, *, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("Shop.Example", "shop.example"),
        ("shop.example:443", "shop.example"),
        ("shop.example.:443", "shop.example"),
        ("shop.example..", "shop.example"),
        ("shop.example:", "shop.example"),
        ("shop.example:x", "shop.example"),
        ("[2001:DB8::1]", "[2001:db8::1]"),
        ("[2001:db8::1]:443", "[2001:db8::1]"),
        ("", ""),
    ],
)
def test_a_host_has_one_spelling(authority: str, host: str) -> None:
    assert host_of(authority) == host


@given(st.from_regex(r"[A-Za-z0-9._~:%\[\]-]*", fullmatch=True))
def test_the_one_spelling_is_its_own(authority: str) -> None:
    assert host_of(host_of(authority)) == host_of(authority)


@given(
    st.from_regex(r"[a-z0-9-]+(\.[a-z0-9-]+)*", fullmatch=True),
    st.sampled_from(["", "."]),
    st.sampled_from(["", ":", ":443"]),
)
def test_a_pattern_is_at_every_spelling_of_its_host(host: str, dot: str, port: str) -> None:
    assert is_at(f"{host.upper()}{dot}{port}", [PATTERN.validate_python(host + dot)])
    assert is_at(f"a.{host}{dot}{port}", [PATTERN.validate_python(f"*.{host}{dot}")])
    assert not is_at(f"{host}{dot}{port}", [PATTERN.validate_python(f"*.{host}{dot}")])


@pytest.mark.parametrize(
    "text", ["", ".", "*", "*.", "a*.example", "shop.example:443", "::1", "[::1]:443", "https://shop.example", "a b"]
)
def test_what_no_request_is_at_is_no_pattern(text: str) -> None:
    with pytest.raises(ValidationError, match="is no host"):
        PATTERN.validate_python(text)
