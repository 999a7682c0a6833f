import json
from pathlib import Path
from typing import Any

import jwt as pyjwt
import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from tests.assertion.parts import ANN, ISSUER, signer, to, write_key
from tests.authentication.parts import NOW, Clock, request
from ztag_extauthz.assertion.keys import key_set, read_keys
from ztag_extauthz.assertion.settings import AssertionSettings
from ztag_extauthz.errors import SettingsError
from ztag_extauthz.model import Identity, Peer


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
def test_another_library_reads_it(tmp_path: Path, algorithm: str) -> None:
    write_key(tmp_path / "key.pem", algorithm)
    token = signer(tmp_path).assertion(to("orders"), ANN, "decision-1")
    (key,) = json.loads(key_set(read_keys(tmp_path, ("key.pem",))))["keys"]
    assert pyjwt.get_unverified_header(token) == {"alg": algorithm, "kid": key["kid"], "typ": "ztag+jwt"}
    read = pyjwt.decode(
        token,
        pyjwt.PyJWK(key),
        [algorithm],
        audience="orders",
        issuer=ISSUER,
        options={"verify_exp": False, "verify_iat": False},
    )
    assert read.pop("jti")
    assert read == {
        "iss": ISSUER,
        "sub": "ann",
        "aud": "orders",
        "iat": int(NOW),
        "exp": int(NOW) + 60,
        "decision_id": "decision-1",
        "idp": "https://issuer.example",
        "kind": "jwt",
        "scope": "read write",
        "roles": ["editor"],
    }


def claims(token: str) -> dict[str, Any]:
    read: dict[str, Any] = pyjwt.decode(token, options={"verify_signature": False})
    return read


def test_it_is_signed_once_for_each_identity_and_audience(tmp_path: Path) -> None:
    write_key(tmp_path / "key.pem")
    clock = Clock()
    one = signer(tmp_path, clock)
    first = one.assertion(to("orders"), ANN, "1")
    assert one.assertion(to("orders"), replace(ANN), "2") == first
    assert one.assertion(to("billing"), ANN, "3") != first
    assert one.assertion(to("orders"), replace(ANN, scopes=("read",)), "4") != first
    assert one.assertion(to("orders"), replace(ANN, issuer="https://other.example"), "5") != first
    clock.now += 45
    second = one.assertion(to("orders"), ANN, "6")
    assert second != first
    assert claims(second)["exp"] == int(NOW) + 45 + 60


def test_it_does_not_outlive_the_credential(tmp_path: Path) -> None:
    write_key(tmp_path / "key.pem")
    token = signer(tmp_path).assertion(to("orders"), replace(ANN, expires_at=NOW + 10), "1")
    assert claims(token)["exp"] == int(NOW) + 10


def test_s22_the_audience_is_the_upstream(tmp_path: Path) -> None:
    write_key(tmp_path / "key.pem")
    principal = "spiffe://mesh.example/ns/shop/sa/orders"
    at_sidecar = replace(request(), destination=Peer("10.0.0.2", 1, principal))
    assert claims(signer(tmp_path).assertion(at_sidecar, ANN, "1"))["aud"] == principal
    assert claims(signer(tmp_path, audience="shop").assertion(request(), ANN, "1"))["aud"] == "shop"
    assert signer(tmp_path).assertion(request(), ANN, "1") == ""
    spoofed = request(ztag_audience="billing", x_ztag_audience="billing")
    assert signer(tmp_path).assertion(spoofed, ANN, "1") == ""


def test_nobody_is_not_asserted(tmp_path: Path) -> None:
    write_key(tmp_path / "key.pem")
    assert signer(tmp_path).assertion(to("orders"), Identity("anonymous", "", "anonymous"), "1") == ""


def test_all_keys_are_shown_and_the_first_one_signs(tmp_path: Path) -> None:
    write_key(tmp_path / "key.pem")
    write_key(tmp_path / "next.pem", "EdDSA")
    both = read_keys(tmp_path, ("next.pem", "key.pem"))
    shown = json.loads(key_set(both))["keys"]
    assert [key["alg"] for key in shown] == ["EdDSA", "ES256"]
    assert all("d" not in key for key in shown)
    token = signer(tmp_path, keys=["next.pem", "key.pem"]).assertion(to("orders"), ANN, "1")
    assert pyjwt.get_unverified_header(token)["kid"] == shown[0]["kid"]


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----"])
def test_a_bad_key_is_a_mistake_of_the_settings(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "key.pem").write_bytes(content)
    with pytest.raises(SettingsError, match=r"key\.pem"):
        signer(tmp_path)


def test_a_weak_key_is_a_mistake_of_the_settings(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = rsa.generate_private_key(65537, 2048)
    (tmp_path / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(SettingsError, match="neither"):
        signer(tmp_path)


@pytest.mark.parametrize("change", [{"issuer": ""}, {"keys": []}, {"lifetime": 601}, {"lifetime": 0}])
def test_wrong_settings(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AssertionSettings.model_validate({"issuer": ISSUER, "keys": ["key.pem"]} | change)
