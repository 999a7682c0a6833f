import asyncio
import datetime as dt
import json
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from msgspec.structs import replace
from pydantic import ValidationError

from tests.authentication.parts import FOREVER, NOW, Clock, request, resources
from tests.authentication.svids import AT, HOUR, Mesh, encoded
from ztag_extauthz.authentication.mesh import MeshSettings
from ztag_extauthz.errors import SettingsError
from ztag_extauthz.model import Deny, Identity, Peer, Reason, Request

ALICE = "spiffe://mesh.example/ns/shop/sa/alice"
BOB = "spiffe://mesh.example/ns/shop/sa/bob"
GATEWAY = "spiffe://mesh.example/ns/edge/sa/gateway"
INNER = "spiffe://mesh.example/ns/edge/sa/inner"
HOPS: dict[str, Any] = {"forwarding": {"hops": [GATEWAY, INNER]}}
RFC9440: dict[str, Any] = {"forwarding": {"hops": [GATEWAY], "header": "client-cert"}}


def peer(principal: str, certificate: str = "", **headers: str) -> Request:
    return replace(request(**headers), source=Peer("10.0.0.1", 1, principal, certificate=certificate))


def answer(
    asked: Request, folder: Path = Path(), clock: Clock | None = None, **settings: Any
) -> Identity | Deny | None:
    good = {"kind": "mesh", "trust_domains": ["mesh.example", "partner.example"]}
    mesh = MeshSettings.model_validate(good | settings).build(resources(folder, clock))
    return asyncio.run(mesh.authenticate(asked, FOREVER))


def identity(*arguments: Any, **settings: Any) -> Identity:
    found = answer(*arguments, **settings)
    assert isinstance(found, Identity), found
    return found


def refusal(*arguments: Any, **settings: Any) -> str:
    found = answer(*arguments, **settings)
    assert isinstance(found, Deny), found
    assert found.reason is Reason.INVALID_CREDENTIALS
    return found.detail


def test_says_who_is_at_the_other_end() -> None:
    found = identity(peer(ALICE))
    assert (found.subject, found.issuer, found.kind, found.expires_at) == (ALICE, "spiffe://mesh.example", "mesh", None)
    assert found.claims == {"trust_domain": "mesh.example", "path": "/ns/shop/sa/alice", "via": []}


@pytest.mark.parametrize("principal", ["", "CN=alice", "alice.example", "https://mesh.example/alice"])
def test_whoever_has_no_spiffe_id_is_another_kinds_business(principal: str) -> None:
    assert answer(peer(principal)) is None


@pytest.mark.parametrize(
    ("principal", "words"),
    [
        ("spiffe://other.example/a", "trust domain that is not accepted"),
        ("spiffe://mesh.example", "not a workload"),
        ("spiffe://mesh.example/", "slash"),
        ("SPIFFE://mesh.example/a", "spiffe://"),
        ("spiffe://Mesh.example/a", "lower-case"),
        ("spiffe://mesh.example/a%2fb", "letters"),
        ("spiffe://mesh.example/a\r\nx-role: admin", "letters"),
        ("spiffe://mesh.example/ns/../a", "dot"),
        ("spiffe:mesh.example/a", "spiffe://"),
        ("spiffe://mesh.example.evil/a", "trust domain that is not accepted"),
    ],
)
def test_s09_what_is_no_id_of_ours_is_refused(principal: str, words: str) -> None:
    assert words in refusal(peer(principal))


# x-forwarded-client-cert


def xfcc(*elements: str) -> dict[str, str]:
    return {"x_forwarded_client_cert": ",".join(elements)}


def test_a_trusted_proxys_client_is_the_one_who_asks() -> None:
    found = identity(peer(GATEWAY, **xfcc(f'By={GATEWAY};Hash={"ab" * 32};Subject="CN=a,O=b";URI={ALICE}')), **HOPS)
    assert (found.subject, found.claims["via"]) == (ALICE, [GATEWAY])
    assert found.claims["fingerprint"] == "ab" * 32


def test_s32_the_header_of_anybody_else_means_nothing() -> None:
    forged = xfcc(f"By={GATEWAY};URI={ALICE}")
    assert identity(peer(BOB, **forged), **HOPS).subject == BOB
    assert answer(peer("", **forged), **HOPS) is None
    assert identity(peer(GATEWAY, **forged)).subject == GATEWAY
    assert refusal(peer("spiffe://evil.example/gateway", **forged), **HOPS)


def test_s32_the_last_element_counts_which_the_nearest_proxy_added() -> None:
    elements = (f"By={GATEWAY};URI={ALICE}", f"By={GATEWAY};URI={BOB}")
    assert identity(peer(GATEWAY, **xfcc(*elements)), **HOPS).subject == BOB


def test_the_asking_envoys_own_element_is_not_another_hop() -> None:
    own = f"By=spiffe://mesh.example/ns/shop/sa/orders;URI={GATEWAY}"
    assert identity(peer(GATEWAY, **xfcc(f"By={GATEWAY};URI={ALICE}", own)), **HOPS).subject == ALICE
    assert answer(peer(GATEWAY, **xfcc(own)), **HOPS) is None


def test_trust_goes_from_hop_to_hop_and_no_further() -> None:
    chain = (f"By={GATEWAY};URI={ALICE}", f"By={INNER};URI={GATEWAY}")
    found = identity(peer(INNER, **xfcc(*chain)), **HOPS)
    assert (found.subject, found.claims["via"]) == (ALICE, [INNER, GATEWAY])
    broken = (f"By={GATEWAY};URI={ALICE}", f"By={INNER};URI={BOB}")
    assert identity(peer(INNER, **xfcc(*broken)), **HOPS).subject == BOB


def test_a_proxy_that_names_no_client_does_not_speak_for_itself() -> None:
    assert answer(peer(GATEWAY), **HOPS) is None
    assert answer(peer(GATEWAY, **xfcc(f"By={INNER};URI={GATEWAY}")), **HOPS) is None


@pytest.mark.parametrize(
    "element",
    [
        f'By={GATEWAY};Subject="URI={BOB};";URI={ALICE}',
        f'By={GATEWAY};Subject="a,URI={BOB}";URI={ALICE}',
        f'By={GATEWAY};Subject="\\",URI={BOB}";URI={ALICE}',
        f'By={GATEWAY};URI="{ALICE}"',
        f"By={GATEWAY};DNS=a.example;DNS=b.example;URI={ALICE}",
    ],
)
def test_s09_quotes_hide_what_they_hold(element: str) -> None:
    assert identity(peer(GATEWAY, **xfcc(element)), **HOPS).subject == ALICE


@pytest.mark.parametrize(
    "element",
    [
        f"By={GATEWAY};URI={ALICE};URI={BOB}",
        f"By={INNER};URI={ALICE}",
        f"By={GATEWAY};URI={ALICE};Hash=xyz",
        f"By={GATEWAY};URI={ALICE};Hash=abcd",
        f'By={GATEWAY};Subject="CN=a;URI={ALICE}',
        f"By={GATEWAY};URI={ALICE};Cert=%ZZ",
        f"By={GATEWAY};URI={ALICE};Cert=hello",
        f"By={GATEWAY};URI=spiffe://evil.example/a",
        ",".join([f"By={GATEWAY};URI={GATEWAY}"] * 17 + [f"By={GATEWAY};URI={ALICE}"]),
        "URI",
    ],
)
def test_s09_what_contradicts_itself_is_refused(element: str) -> None:
    refusal(peer(GATEWAY, **xfcc(element)), **HOPS)


# certificates


@pytest.fixture(scope="module")
def mesh() -> Mesh:
    return Mesh()


@pytest.fixture
def folder(tmp_path: Path, mesh: Mesh) -> Path:
    (tmp_path / "mesh.pem").write_bytes(mesh.pem())
    return tmp_path


BUNDLES: dict[str, Any] = {
    "trust_domains": ["mesh.example"],
    "bundles": [{"trust_domain": "mesh.example", "file": "mesh.pem"}],
}


def test_a_certificate_is_verified_against_its_own_trust_domain(folder: Path, mesh: Mesh) -> None:
    leaf = mesh.issue(ALICE)
    found = identity(peer(ALICE, encoded(leaf)), folder, **BUNDLES)
    assert (found.subject, found.expires_at) == (ALICE, NOW + 3600)
    assert found.claims["fingerprint"] == sha256(leaf).hexdigest()
    assert "vouches" in refusal(peer(ALICE, encoded(Mesh().issue(ALICE))), folder, **BUNDLES)
    assert "was not told" in refusal(peer(ALICE), folder, **BUNDLES)


def test_federated_domains_do_not_vouch_for_each_other(folder: Path, mesh: Mesh) -> None:
    partner = Mesh("partner.example")
    (folder / "partner.pem").write_bytes(partner.pem())
    both = {
        "trust_domains": ["mesh.example", "partner.example"],
        "bundles": [*BUNDLES["bundles"], {"trust_domain": "partner.example", "file": "partner.pem"}],
    }
    carol = "spiffe://partner.example/carol"
    assert identity(peer(carol, encoded(partner.issue(carol))), folder, **both).issuer == "spiffe://partner.example"
    assert "vouches" in refusal(peer(ALICE, encoded(partner.issue(ALICE))), folder, **both)
    assert "vouches" in refusal(peer(carol, encoded(mesh.issue(carol))), folder, **both)


def test_a_spiffe_bundle_is_a_bundle(folder: Path, mesh: Mesh) -> None:
    keys = [
        {"use": "x509-svid", "kty": "EC", "x5c": [b64encode(mesh.der()).decode()]},
        {"use": "jwt-svid", "kty": "EC", "kid": "1"},
    ]
    (folder / "mesh.pem").write_text(json.dumps({"spiffe_sequence": 1, "keys": keys}))
    identity(peer(ALICE, encoded(mesh.issue(ALICE))), folder, **BUNDLES)


BAD_LEAVES: dict[str, tuple[Callable[[Mesh], bytes], str]] = {
    "another's": (lambda mesh: mesh.issue(BOB), "another workload"),
    "two names": (lambda mesh: mesh.issue(ALICE, BOB), "exactly one URI"),
    "no name": (lambda mesh: mesh.issue(others=(x509.DNSName("a.example"),)), "exactly one URI"),
    "an authority": (lambda mesh: mesh.issue(ALICE, ca=True), "authority"),
    "may sign": (lambda mesh: mesh.issue(ALICE, usages=frozenset({"digital_signature", "key_cert_sign"})), "may sign"),
    "may revoke": (lambda mesh: mesh.issue(ALICE, usages=frozenset({"digital_signature", "crl_sign"})), "may sign"),
    "no signature": (lambda mesh: mesh.issue(ALICE, usages=frozenset({"key_agreement"})), "key usage"),
    "no usage": (lambda mesh: mesh.issue(ALICE, usages=None), "key usage"),
    "usage not critical": (lambda mesh: mesh.issue(ALICE, critical=False), "key usage"),
    "expired": (lambda mesh: mesh.issue(ALICE, ends=AT - dt.timedelta(seconds=1)), "expired"),
    "not yet": (lambda mesh: mesh.issue(ALICE, begins=AT + HOUR / 2), "expired or"),
    "a domain": (lambda mesh: mesh.issue("spiffe://mesh.example"), "of a trust domain"),
    "no id": (lambda mesh: mesh.issue("spiffe://mesh.example/a%0d%0ab"), "letters"),
}


@pytest.mark.parametrize("name", list(BAD_LEAVES))
@pytest.mark.parametrize("bundles", [{}, BUNDLES])
def test_s09_a_certificate_that_is_no_svid_is_refused(
    folder: Path, mesh: Mesh, name: str, bundles: dict[str, Any]
) -> None:
    make, words = BAD_LEAVES[name]
    assert words in refusal(peer(ALICE, encoded(make(mesh))), folder, **bundles)


def test_a_remembered_certificate_expires(folder: Path, mesh: Mesh) -> None:
    clock = Clock()
    kind = MeshSettings.model_validate({"kind": "mesh", **BUNDLES}).build(resources(folder, clock))
    asked = peer(ALICE, encoded(mesh.issue(ALICE)))
    assert isinstance(asyncio.run(kind.authenticate(asked, FOREVER)), Identity)
    clock.now += 3600
    assert isinstance(asyncio.run(kind.authenticate(asked, FOREVER)), Deny)


def test_a_forwarded_certificate_is_verified_like_any_other(folder: Path, mesh: Mesh) -> None:
    leaf = mesh.issue(ALICE)
    settings = {**BUNDLES, **HOPS}
    told = f'By={GATEWAY};Hash={sha256(leaf).hexdigest()};Cert="{encoded(leaf)}";URI={ALICE}'
    assert identity(peer(GATEWAY, **xfcc(told)), folder, **settings).expires_at == NOW + 3600
    chain = f'By={GATEWAY};Chain="{encoded(leaf, mesh.der())}";Cert="{encoded(leaf)}";URI={ALICE}'
    identity(peer(GATEWAY, **xfcc(chain)), folder, **settings)
    assert "hash" in refusal(peer(GATEWAY, **xfcc(told.replace("Hash=", "Hash=00")[:-2])), folder, **settings)
    assert "another workload" in refusal(peer(GATEWAY, **xfcc(told.replace(ALICE, BOB))), folder, **settings)


# RFC 9440


def test_a_certificate_in_a_field_of_its_own(folder: Path, mesh: Mesh) -> None:
    settings = {**BUNDLES, **RFC9440}
    leaf = f":{b64encode(mesh.issue(ALICE)).decode()}:"
    found = identity(peer(GATEWAY, client_cert=leaf), folder, **settings)
    assert (found.subject, found.claims["via"]) == (ALICE, [GATEWAY])
    chain = f":{b64encode(mesh.der()).decode()}:"
    identity(peer(GATEWAY, client_cert=leaf, client_cert_chain=f"{chain}, {chain}"), folder, **settings)
    assert "was not told" in refusal(peer(BOB, client_cert=leaf), folder, **settings)
    assert answer(peer(GATEWAY), folder, **settings) is None
    for wrong in ("", ":", "::", leaf[1:], leaf[:-1], f"{leaf},{leaf}", leaf.replace(":", '"'), ":!!:", ":\u00e9:"):
        found_wrong = answer(peer(GATEWAY, client_cert=wrong), folder, **settings)
        assert found_wrong is None if wrong == "" else isinstance(found_wrong, Deny), wrong


def test_s03_two_certificates_are_refused(folder: Path, mesh: Mesh) -> None:
    leaf = f":{b64encode(mesh.issue(ALICE)).decode()}:"
    asked = replace(peer(GATEWAY, client_cert=leaf), repeated=frozenset({"client-cert"}))
    assert "more than once" in refusal(asked, folder, **BUNDLES, **RFC9440)


# settings


@pytest.mark.parametrize(
    "settings",
    [
        {"trust_domains": []},
        {"trust_domains": ["Mesh.example"]},
        {"trust_domains": ["spiffe://mesh.example"]},
        {"trust_domains": ["mesh.example", "other.example"], "bundles": BUNDLES["bundles"]},
        {"trust_domains": ["other.example"], "bundles": BUNDLES["bundles"]},
        {"forwarding": {"header": "x-client"}},
    ],
)
def test_wrong_settings(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MeshSettings.model_validate({"kind": "mesh", "trust_domains": ["mesh.example"]} | settings)


@pytest.mark.parametrize("content", [None, b"", b"{}", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"])
def test_a_bad_bundle_is_a_mistake_of_the_settings(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "mesh.pem").write_bytes(content)
    with pytest.raises(SettingsError, match=r"mesh\.pem"):
        answer(peer(ALICE), tmp_path, **BUNDLES)
