import pytest

from ztag_extauthz.hosts import is_loopback


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("a.b", False)],
)
def test_loopback(host: str, *, loopback: bool) -> None:
    assert is_loopback(host) is loopback
