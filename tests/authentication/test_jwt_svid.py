import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.authentication.parts import FOREVER, NOW, jwk, key_set, request, resources, token
from ztag_extauthz.authentication.interface import Authenticator, join
from ztag_extauthz.authentication.jwt import JwtSettings
from ztag_extauthz.authentication.jwt_svid import JwtSvidSettings
from ztag_extauthz.model import Deny, Identity

ALICE = "spiffe://mesh.example/ns/shop/sa/alice"
US = "spiffe://mesh.example/ns/shop/sa/orders"


def reader(folder: Path, *domains: str, **changes: Any) -> Authenticator:
    kinds = []
    for domain in domains or ("mesh.example",):
        name = f"{domain}.json"
        (folder / name).write_bytes(key_set(jwk("ES256", f"-{domain}", use="jwt-svid", kid="1")))
        good = {"kind": "jwt_svid", "trust_domain": domain, "audiences": [US], "bundle": {"file": name}}
        kinds.append(JwtSvidSettings.model_validate(good | changes).build(resources(folder)))
    (joined,) = join(kinds)
    return joined


def svid(subject: str = ALICE, domain: str = "mesh.example", **changes: Any) -> str:
    header = {"kid": "1", "typ": "JWT"} | changes.pop("header", {})
    return token("ES256", f"-{domain}", header, **{"sub": subject, "aud": [US], "iss": None, **changes})


def answer(kind: Authenticator, text: str) -> Identity | Deny | None:
    return asyncio.run(kind.authenticate(request(f"Bearer {text}"), FOREVER))


def test_says_which_workload_asks(tmp_path: Path) -> None:
    found = answer(reader(tmp_path), svid(client_id=None, jti=None, iat=None))
    assert isinstance(found, Identity)
    assert (found.subject, found.issuer, found.kind) == (ALICE, "spiffe://mesh.example", "jwt_svid")
    for kind in ("JOSE", None):
        assert isinstance(answer(reader(tmp_path), svid(header={"typ": kind})), Identity)


def test_s14_only_the_bundle_of_the_subjects_own_trust_domain_counts(tmp_path: Path) -> None:
    both = reader(tmp_path, "mesh.example", "partner.example")
    carol = "spiffe://partner.example/carol"
    assert isinstance(answer(both, svid(carol, "partner.example")), Identity)
    for forged in (
        svid(ALICE, "partner.example"),
        svid(carol, "mesh.example"),
        svid(ALICE, "partner.example", iss="spiffe://partner.example"),
        svid(carol, "mesh.example", iss="spiffe://mesh.example"),
        svid("spiffe://mesh.example@partner.example/x", "partner.example"),
        svid("spiffe://third.example/x", "partner.example", iss="spiffe://partner.example"),
    ):
        assert isinstance(answer(both, forged), Deny)


def test_an_issuer_beside_does_not_speak_for_workloads(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_bytes(key_set(jwk("RS256")))
    good = {"kind": "jwt", "issuer": "https://issuer.example", "audiences": ["mesh"], "algorithms": ["RS256"]}
    jwt = JwtSettings.model_validate(good | {"jwks": {"file": "keys.json"}}).build(resources(tmp_path))
    (both,) = join([jwt, reader(tmp_path)])
    assert isinstance(answer(both, token()), Identity)
    assert isinstance(answer(both, svid()), Identity)
    assert isinstance(answer(both, token(sub=ALICE)), Deny)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ["other"]},
        {"aud": None},
        {"exp": None},
        {"exp": int(NOW) - 60},
        {"exp": int(NOW) + 7200},
        {"header": {"typ": "at+jwt"}},
        {"header": {"kid": "2"}},
        {"subject": "spiffe://mesh.example"},
        {"subject": "spiffe://mesh.example/"},
        {"subject": "spiffe://mesh.example/a/../b"},
        {"subject": "spiffe://mesh.example/a b"},
        {"subject": "SPIFFE://mesh.example/a"},
        {"subject": "alice"},
        {"subject": "alice", "iss": "spiffe://mesh.example"},
    ],
)
def test_a_bad_svid_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert isinstance(answer(reader(tmp_path), svid(**changes)), Deny)


def test_only_keys_for_jwt_svids_count(tmp_path: Path) -> None:
    kind = reader(tmp_path)
    keys = [jwk("ES256", "-mesh.example", kid="1"), jwk("ES256", "-x", kid="2", use="jwt-svid")]
    (tmp_path / "mesh.example.json").write_bytes(key_set(*keys, jwk("RS256", "-y", kid=None, use="x509-svid")))
    good = {"kind": "jwt_svid", "trust_domain": "mesh.example", "audiences": [US]}
    kind = JwtSvidSettings.model_validate(good | {"bundle": {"file": "mesh.example.json"}}).build(resources(tmp_path))
    assert isinstance(answer(kind, svid()), Deny)


@pytest.mark.parametrize(
    "changes",
    [
        {"trust_domain": "spiffe://mesh.example"},
        {"trust_domain": "Mesh"},
        {"trust_domain": ""},
        {"audiences": []},
        {"bundle": {}},
    ],
)
def test_wrong_settings(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        reader(tmp_path, **changes)
