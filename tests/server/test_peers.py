import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server.certificates import ENVOY, Authority
from ztag_extauthz.server.core import RpcError, Status
from ztag_extauthz.server.peers import Peers, names_of


@pytest.fixture(scope="module")
def envoy() -> str:
    return Authority("mesh").issue("spiffe://mesh.example/cn", ENVOY, "Edge.Example").certificate.decode()


def refused(peers: Peers, certificate: str | None) -> bool:
    try:
        peers.admit(certificate)
    except RpcError as error:
        return error.status is Status.PERMISSION_DENIED
    return False


def test_without_a_list_everybody_may_ask(envoy: str) -> None:
    assert not refused(Peers(()), envoy)
    assert not refused(Peers(()), None)


@pytest.mark.parametrize("name", [ENVOY, "edge.example", "EDGE.EXAMPLE"])
def test_a_name_of_the_certificate_is_enough(envoy: str, name: str) -> None:
    peers = Peers(("other.example", name))
    for _ in range(2):
        assert not refused(peers, envoy)


@pytest.mark.parametrize(
    "name",
    [ENVOY.upper(), ENVOY + "/", "spiffe://mesh.example", "spiffe://mesh.example/cn", "*.example", "example"],
)
def test_s32_nothing_less_than_the_whole_name(envoy: str, name: str) -> None:
    peers = Peers((name,))
    for _ in range(2):
        assert refused(peers, envoy)


def test_s32_no_certificate_is_nobody() -> None:
    assert refused(Peers((ENVOY,)), None)
    assert refused(Peers((ENVOY,)), "")


def test_what_is_remembered_has_a_bound() -> None:
    peers = Peers((ENVOY,))
    for number in range(5000):
        assert refused(peers, f"no certificate {number}")
    assert len(peers._verdicts) <= 4096


@given(st.text())
def test_names_of_anything(text: str) -> None:
    assert names_of(text) == frozenset()
