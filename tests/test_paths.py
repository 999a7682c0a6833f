import pytest
from hypothesis import given
from hypothesis import strategies as st

from ztag_extauthz.paths import path_of

SPELLINGS = (
    "/orders/1", "/Orders/1", "/orders/%31", "/%6frders/1", "/%6Frders/1", "//orders//1", "/orders/./1",
    "/a/../orders/1",
    "/orders;v=2/1", "/orders/1;v=2", "\\orders\\1", "/orders/1/", "/orders/1?x=2", "/orders/1#x", "orders/1",
)  # fmt: skip


@pytest.mark.parametrize("path", SPELLINGS)
def test_a_path_has_one_spelling(path: str) -> None:
    assert path_of(path) == "/orders/1"


@pytest.mark.parametrize("path", ["/orders/2", "/orders", "/orders/1/2", "/orders/11", "/", "", "/orders/%2531"])
def test_another_path_has_another(path: str) -> None:
    assert path_of(path) != "/orders/1"


@given(st.text(max_size=40))
def test_it_begins_with_a_slash(path: str) -> None:
    assert path_of(path).startswith("/")


@given(st.binary(min_size=1, max_size=8))
def test_the_case_of_an_escape_does_not_count(octets: bytes) -> None:
    escaped = "".join(f"%{octet:02x}" for octet in octets)
    assert path_of(f"/{escaped}") == path_of(f"/{escaped.upper()}")
