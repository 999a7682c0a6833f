from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct

from tests.server.certificates import ENVOY, Authority
from tests.server.client import Tls
from tests.server.parts import ENGINES, Running, running, tls_settings


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority("mesh")


@pytest.fixture
def pki(tmp_path: Path, authority: Authority) -> Path:
    """A folder with `ca.pem`, and `.pem` and `.key` of the server, an Envoy, and a stranger of the same mesh."""
    (tmp_path / "ca.pem").write_bytes(authority.certificate)
    authority.issue("server", "127.0.0.1", "localhost").write(tmp_path, "server")
    authority.issue("envoy", ENVOY, "Envoy.edge.example").write(tmp_path, "envoy")
    authority.issue("stranger", "spiffe://mesh.example/ns/dev/sa/shell").write(tmp_path, "stranger")
    return tmp_path


class Served(Struct):
    """An engine that runs, and how its clients reach it."""

    kind: str
    server: Running
    tls: Tls | None

    @property
    def address(self) -> str:
        return self.server.address


@pytest.fixture(params=ENGINES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["tcp", "unix", "tls", "mtls"])
def served(request: pytest.FixtureRequest, kind: str, pki: Path) -> Iterator[Served]:
    """Every engine over every transport."""
    transport = request.param
    address = f"unix://{pki}/ztag.sock" if transport == "unix" else "127.0.0.1:0"
    settings, client = None, None
    if transport == "tls":
        settings, client = tls_settings(pki), Tls(pki / "ca.pem")
    elif transport == "mtls":
        settings = tls_settings(pki, client_ca=True, allowed=(ENVOY,))
        client = Tls(pki / "ca.pem", pki / "envoy.pem", pki / "envoy.key")
    with running(kind, address, settings) as server:
        yield Served(kind, server, client)


@pytest.fixture
def plain(kind: str) -> Iterator[Served]:
    """Every engine over TCP."""
    with running(kind, max_message_bytes=4096) as server:
        yield Served(kind, server, None)
