import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
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


@pytest.mark.parametrize(
    "names",
    [
        [x509.DNSName(ENVOY)],
        [ENVOY, "spiffe://mesh.example/ns/bad/sa/shell"],
        ["spiffe://mesh.example/ns/bad/sa/shell", ENVOY],
        [ENVOY, "https://elsewhere.example/"],
        [ENVOY, ENVOY],
        [x509.RFC822Name("envoy@edge.example"), x509.UniformResourceIdentifier("edge.example")],
        [x509.UniformResourceIdentifier("EDGE.example")],
        [x509.RFC822Name("edge.example")],
        [x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "edge.example")]))],
        [x509.OtherName(x509.ObjectIdentifier("1.3.6.1.5.5.7.8.5"), b"\x0c\x0cedge.example")],
        ["*.example"],
        ["edge.example."],
        ["edge.example\0.evil.example"],
        [],
    ],
    ids=str,
)
def test_s32_a_name_of_another_type_is_another_name(names: list[str | x509.GeneralName]) -> None:
    certificate = Authority("mesh").issue("edge.example", *names).certificate.decode()
    assert refused(Peers((ENVOY, "edge.example")), certificate)


def test_a_dns_name_counts_beside_several_uris() -> None:
    certificate = Authority("mesh").issue("x", ENVOY, "https://a.example/", "edge.example").certificate.decode()
    assert not refused(Peers(("edge.example",)), certificate)
    assert refused(Peers((ENVOY,)), certificate)


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
