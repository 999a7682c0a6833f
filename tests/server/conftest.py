import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct

from tests.server.certificates import ENVOY, Authority
from tests.server.client import Tls
from tests.server.parts import ENGINES, Running, running, tls_settings
from tests.server.process import Ztag, revision, serving, until, write_config, write_policy


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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_policy(tmp_path, "one")
    return tmp_path


class Shared(Struct):
    """Two workers of one engine, which serve several tests: a start is most of a test's time."""

    ztag: Ztag
    folder: Path
    server: dict[str, object]


@pytest.fixture(scope="module", params=ENGINES)
def lasting(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("lasting")
    write_policy(folder, "one")
    server = {"engine": request.param, "workers": 2}
    with serving(folder, server=server) as ztag:
        yield Shared(ztag, folder, server)


@pytest.fixture
def shared(lasting: Shared) -> Shared:
    """The lasting server as it was at its start."""
    write_config(lasting.folder, server=lasting.server)
    write_policy(lasting.folder, "one")
    lasting.ztag.signal(signal.SIGHUP)
    until(lambda: all(revision(lasting.ztag.check(worker=worker)) == "one" for worker in (0, 1)))
    return lasting


@pytest.fixture
def ztag(folder: Path, kind: str) -> Iterator[Ztag]:
    """Two workers of either engine, for one test that leaves nothing of them."""
    with serving(folder, server={"engine": kind, "drain_timeout": 1.0}) as started:
        yield started
