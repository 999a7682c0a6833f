"""An engine on a real socket, in an event loop of its own thread, and something for it to serve."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ztag_extauthz.server.core import RpcError, Status
from ztag_extauthz.server.engine import Engine, Place
from ztag_extauthz.server.grpcio import Grpcio
from ztag_extauthz.server.h2corn import H2corn
from ztag_extauthz.server.health import Health, Serving
from ztag_extauthz.server.service import Service
from ztag_extauthz.server.sockets import bind
from ztag_extauthz.settings import ServerSettings, TlsSettings

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")

ENGINES = ("h2corn", "grpcio")


class Script:
    """Answers a Check with what the message says, and remembers how long it had."""

    def __init__(self) -> None:
        self.allowances: list[float] = []
        self.heard: list[bytes] = []
        self.cancelled = 0
        self.release = asyncio.Event()

    async def check(self, message: bytes, deadline: float) -> bytes:
        self.allowances.append(deadline - asyncio.get_running_loop().time())
        if message == b"wait":
            await self._wait()
        if message == b"shed":
            raise RpcError(Status.UNAVAILABLE, "too many requests in flight")
        if message == b"fail":
            raise KeyError("a secret of the request")
        return b"answer to " + message

    def ended(self, message: bytes) -> None:
        if message == b"shed":
            raise RpcError(Status.UNAVAILABLE, "nobody wants to know")
        self.heard.append(message)

    async def _wait(self) -> None:
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


class Running:
    """An engine that serves."""

    def __init__(self, kind: str, address: str, tls: TlsSettings | None, **settings: Any) -> None:
        self.settings = ServerSettings(engine="h2corn" if kind == "h2corn" else "grpcio", **settings)
        self._bound = bind(address, handed_over=kind == "h2corn")
        self.address = self._bound.address
        self._place = Place(self.address, self._bound.socket if self._bound.handed_over else None, tls)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.run(self._start())

    async def _start(self) -> None:
        self.script, self.health = Script(), Health()
        self.engine = _engine(Service(self.script, self.health), self._place, self.settings)
        await self.engine.start()
        self.health.set(Serving.SERVING)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.begin(work).result(20)

    def begin(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def do(self, action: Any, *arguments: Any) -> None:
        """Call something in the engine's loop, and wait until it was."""

        async def call() -> None:
            action(*arguments)

        self.run(call())

    def close(self) -> None:
        self.do(self.health.close)
        self.do(self.script.release.set)
        self.run(self.engine.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)
        self.loop.close()
        self._bound.close()


def _engine(service: Service, place: Place, settings: ServerSettings) -> Engine:
    return {"grpcio": Grpcio, "h2corn": H2corn}[settings.engine](service, place, settings)


@contextmanager
def running(
    kind: str, address: str = "127.0.0.1:0", tls: TlsSettings | None = None, **settings: Any
) -> Iterator[Running]:
    server = Running(kind, address, tls, **{"drain_timeout": 3.0, **settings})
    try:
        yield server
    finally:
        server.close()


def tls_settings(folder: Path, *, client_ca: bool = False, allowed: tuple[str, ...] = ()) -> TlsSettings:
    return TlsSettings(
        certificate=str(folder / "server.pem"),
        key=str(folder / "server.key"),
        client_ca=str(folder / "ca.pem") if client_ca else None,
        allowed_clients=allowed,
    )
