import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.authentication.parts import FOREVER, KeyServer, jwk, key_set, resources
from tests.server.certificates import Authority
from ztag_extauthz.authentication.jwks import WELL_KNOWN, JwksSettings, key_source
from ztag_extauthz.authentication.key_source import KeySource
from ztag_extauthz.errors import SettingsError, UnavailableError

ISSUER = "https://issuer.example"


def source(folder: Path, issuer: str = ISSUER, **settings: Any) -> KeySource:
    return key_source(JwksSettings(**settings), issuer, ("RS256", "ES256"), resources(folder))


def first(keys: KeySource) -> Any:
    return asyncio.run(keys.first(FOREVER))


def test_a_file_beside_the_settings(tmp_path: Path) -> None:
    (tmp_path / "jwks.json").write_bytes(key_set(jwk("RS256")))
    keys = source(tmp_path, file="jwks.json")
    assert first(keys).knows("RS256")
    ready = keys.readiness()
    assert (ready.component, ready.ready) == (f"key file of {ISSUER}", True)
    asyncio.run(keys.renewed(FOREVER))


@pytest.mark.parametrize("content", [None, b"", b"{}", b"-----BEGIN PUBLIC KEY-----", key_set(jwk("EdDSA"))])
def test_a_bad_file_is_a_mistake_of_the_settings(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "jwks.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        source(tmp_path, file="jwks.json")
    (mistake,) = caught.value.mistakes
    assert mistake.where == str(path)
    assert mistake.what
    assert mistake.remedy


def test_a_bad_authority_is_a_mistake_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for name in ("ca.pem", "missing.pem"):
        with pytest.raises(SettingsError, match=name):
            source(tmp_path, url="https://keys.example", ca=name)


def test_an_address(tmp_path: Path, key_server: KeyServer) -> None:
    key_server.serve("/keys", key_set(jwk("ES256")))
    assert first(source(tmp_path, url=f"{key_server.url}/keys")).knows("ES256")


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[KeyServer]:
    authority = Authority("ours")
    (tmp_path / "ca.pem").write_bytes(authority.certificate)
    (tmp_path / "other.pem").write_bytes(Authority("another").certificate)
    authority.issue("keys", "localhost").write(tmp_path, "server")
    server = KeyServer()
    server.speak_tls(tmp_path / "server.pem", tmp_path / "server.key")
    with server.running():
        server.serve("/keys", key_set(jwk("ES256")))
        yield server


def test_a_private_authority(tmp_path: Path, tls_server: KeyServer) -> None:
    assert first(source(tmp_path, url=f"{tls_server.url}/keys", ca="ca.pem")).knows("ES256")


@pytest.mark.parametrize("ca", [None, "other.pem"])
def test_a_key_server_that_nobody_vouches_for(tmp_path: Path, tls_server: KeyServer, ca: str | None) -> None:
    with pytest.raises(UnavailableError, match="SSLCertVerificationError"):
        first(source(tmp_path, url=f"{tls_server.url}/keys", ca=ca))


def test_a_key_server_of_another_name(tmp_path: Path, tls_server: KeyServer) -> None:
    url = tls_server.url.replace("localhost", "127.0.0.1")
    with pytest.raises(UnavailableError, match="SSLCertVerificationError"):
        first(source(tmp_path, url=f"{url}/keys", ca="ca.pem"))


def discovery(server: KeyServer, **document: Any) -> None:
    server.serve(WELL_KNOWN, json.dumps(document).encode())


@pytest.mark.parametrize("slash", ["", "/"])
def test_discovery(tmp_path: Path, key_server: KeyServer, slash: str) -> None:
    issuer = key_server.url + slash
    discovery(key_server, issuer=issuer, jwks_uri=f"{key_server.url}/keys")
    key_server.serve("/keys", key_set(jwk("ES256")))
    assert first(source(tmp_path, issuer)).knows("ES256")
    assert key_server.asked == [WELL_KNOWN, "/keys"]


@pytest.mark.parametrize("claimed", ["https://other.example", None, 1, "{url}/", "{URL}", ["{url}"]])
def test_s23_an_issuer_speaks_for_itself_alone(tmp_path: Path, key_server: KeyServer, claimed: Any) -> None:
    if isinstance(claimed, str):
        claimed = claimed.format(url=key_server.url, URL=key_server.url.upper())
    discovery(key_server, issuer=claimed, jwks_uri=f"{key_server.url}/keys")
    key_server.serve("/keys", key_set(jwk("ES256")))
    with pytest.raises(UnavailableError, match="byte for byte"):
        first(source(tmp_path, key_server.url))
    assert key_server.asked == [WELL_KNOWN]


@pytest.mark.parametrize(
    "address", [None, 1, "", "file:///etc/passwd", "http://keys.example/", "http://169.254.169.254/"]
)
def test_s23_a_discovered_address_is_held_to_the_same_rules(
    tmp_path: Path, key_server: KeyServer, address: Any
) -> None:
    discovery(key_server, issuer=key_server.url, jwks_uri=address)
    with pytest.raises(UnavailableError, match="jwks_uri"):
        first(source(tmp_path, key_server.url))


@pytest.mark.parametrize("document", [b"", b"[]", b"<html>", b'{"issuer":"a","issuer":"b"}'])
def test_a_discovery_document_that_is_none(tmp_path: Path, key_server: KeyServer, document: bytes) -> None:
    key_server.serve(WELL_KNOWN, document)
    with pytest.raises(UnavailableError, match="openid-configuration"):
        first(source(tmp_path, key_server.url))


@pytest.mark.parametrize(
    "settings",
    [
        {"file": "a", "url": "https://b"},
        {"url": "http://keys.example"},
        {"url": "keys.example"},
        {"url": "https://u:p@keys.example"},
        {"timeout": 0},
        {"timeout": 61},
        {"refresh": 10, "cool_down": 30},
        {"max_stale": -1},
        {"uri": "https://keys.example"},
    ],
)
def test_wrong_settings(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        JwksSettings(**settings)


def test_plain_http_is_named_insecure() -> None:
    assert JwksSettings(url="http://keys.example", insecure_http_keys=True).url == "http://keys.example"


def test_an_authorization_server_is_discovered_between_host_and_path(tmp_path: Path, key_server: KeyServer) -> None:
    issuer = f"{key_server.url}/tenant"
    document = {"issuer": issuer, "jwks_uri": f"{key_server.url}/keys"}
    key_server.serve("/.well-known/oauth-authorization-server/tenant", json.dumps(document).encode())
    key_server.serve("/keys", key_set(jwk("ES256")))
    assert first(source(tmp_path, issuer, discovery="oauth")).knows("ES256")
    with pytest.raises(UnavailableError):
        first(source(tmp_path, issuer))


def test_the_metadata_of_another_issuer_is_not_believed(tmp_path: Path, key_server: KeyServer) -> None:
    document = {"issuer": "https://other.example", "jwks_uri": f"{key_server.url}/keys"}
    key_server.serve("/.well-known/oauth-authorization-server", json.dumps(document).encode())
    with pytest.raises(UnavailableError, match="byte for byte"):
        first(source(tmp_path, key_server.url, discovery="oauth"))
    assert "/keys" not in key_server.asked
