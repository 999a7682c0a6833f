import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from tests.server.certificates import Authority
from ztag_extauthz.component import Resources
from ztag_extauthz.errors import SettingsError
from ztag_extauthz.meter import Meter
from ztag_extauthz.server.preflight import build_to_serve
from ztag_extauthz.settings import load

POLICY = "package envoy.authz\n\nresult := true\n"
REST = """\
authentication: [{kind: anonymous}]
authorization:
  - {kind: rego, policies: [a.rego]}
"""
NO_KEY = "holds no private key in PEM that can be read without a password"
TLS = "listen:\n  tls:\n    certificate: tls.pem\n    key: tls.key\n    client_ca: ca.pem\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    authority = Authority("ours")
    authority.issue("ztag", "ztag.example").write(tmp_path, "tls")
    authority.issue("other", "other.example").write(tmp_path, "other")
    (tmp_path / "ca.pem").write_bytes(authority.certificate)
    (tmp_path / "a.rego").write_text(POLICY)
    return tmp_path


def mistakes(folder: Path, text: str) -> list[str]:
    (folder / "ztag.yaml").write_text(text)
    try:
        build_to_serve(load(folder / "ztag.yaml", {}), Resources(folder, time.time, Meter()))
    except SettingsError as error:
        return [str(mistake).replace(f"{folder}/", "") for mistake in error.mistakes]
    return []


def test_good_files_are_no_mistake(folder: Path) -> None:
    assert mistakes(folder, TLS + REST) == []


def test_a_key_of_another_certificate_is_named(folder: Path) -> None:
    assert mistakes(folder, TLS.replace("tls.key", "other.key") + REST) == [
        "ztag.yaml:4: listen.tls.key: other.key: does not belong to listen.tls.certificate"
    ]


def remove(path: Path) -> None:
    path.unlink()


def spoil(path: Path) -> None:
    path.write_text("x")


def encrypt(path: Path) -> None:
    key = load_pem_private_key(path.read_bytes(), None)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))


@pytest.mark.parametrize(
    ("name", "damage", "told"),
    [
        ("tls.pem", remove, "3: listen.tls.certificate: tls.pem: cannot be read: No such file or directory"),
        ("tls.key", remove, "4: listen.tls.key: tls.key: cannot be read: No such file or directory"),
        ("ca.pem", remove, "5: listen.tls.client_ca: ca.pem: cannot be read: No such file or directory"),
        ("tls.pem", spoil, "3: listen.tls.certificate: tls.pem: holds no certificate in PEM"),
        ("ca.pem", spoil, "5: listen.tls.client_ca: ca.pem: holds no certificate in PEM"),
        ("tls.key", spoil, f"4: listen.tls.key: tls.key: {NO_KEY}"),
        ("tls.key", encrypt, f"4: listen.tls.key: tls.key: {NO_KEY}"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    folder: Path, name: str, damage: Callable[[Path], None], told: str
) -> None:
    damage(folder / name)
    assert mistakes(folder, TLS + REST) == [f"ztag.yaml:{told}"]


def test_mistakes_of_listener_and_policies_come_together(folder: Path) -> None:
    (folder / "tls.key").unlink()
    (folder / "a.rego").unlink()
    listener, policy = mistakes(folder, TLS + REST)
    assert listener.startswith("ztag.yaml:4: listen.tls.key: ")
    assert policy.startswith("ztag.yaml:8: authorization[0].policies: a.rego: ")


def test_the_folder_of_a_socket_has_to_be_there(folder: Path) -> None:
    (told,) = mistakes(folder, f"listen: {{grpc: 'unix://{folder}/run/ztag.sock'}}\n{REST}")
    assert told == "ztag.yaml:1: listen.grpc: run: is no folder (the socket is made in it)"


def test_reflection_needs_its_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ztag_extauthz.server.preflight.find_spec", lambda _: None)
    (told,) = mistakes(folder, f"server: {{reflection: true}}\n{REST}")
    assert told.startswith("ztag.yaml:1: server.reflection: needs the package grpcio-reflection")
