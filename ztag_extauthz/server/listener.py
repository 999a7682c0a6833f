"""h2corn servers within our own event loop, on sockets that are bound already."""

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from h2corn import Config, Server

from ztag_extauthz.settings import TlsSettings

_LOG = logging.getLogger("ztag.server")


class Listener:
    """Serves one application; a second server takes over the same socket when the certificates change."""

    def __init__(self, name: str, app: Any, config: Callable[[], Config]) -> None:
        """`app` is an ASGI application; `config` is asked for every server, `name` is for the log."""
        self._name = name
        self._app = app
        self._config = config
        self._server: Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Accept connections from now on, by the TLS files as they are now; an earlier server finishes what it has.

        Raises `OSError` or `ValueError` where that is not possible; then the earlier one goes on.
        """
        server = Server(self._app, self._config())
        serving = asyncio.create_task(server.serve())
        self._serving.add(serving)
        serving.add_done_callback(self._ended)
        await server.wait_started()
        old, self._server = self._server, server
        if old:
            old.shutdown()

    async def stop(self) -> None:
        """Stop accepting, send GOAWAY, and wait for the calls under way."""
        if self._server:
            self._server.shutdown()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def _ended(self, serving: asyncio.Task[None]) -> None:
        self._serving.discard(serving)
        if not serving.cancelled() and (error := serving.exception()):
            _LOG.error("the %s listener ended: %s", self._name, error)


def config(listener: socket.socket | None, tls: TlsSettings | None = None, **own: Any) -> Config:
    """Return what all our servers have in common, beside what is their own (names of h2corn's `Config`)."""
    if listener is None:
        raise ValueError("h2corn needs a listening socket: host:port")
    return Config(
        bind=(f"fd://{listener.fileno()}",),
        certfile=Path(tls.certificate) if tls else None,
        keyfile=Path(tls.key) if tls else None,
        ca_certs=Path(tls.client_ca) if tls and tls.client_ca else None,
        cert_reqs="required" if tls and tls.client_ca else "none",
        lifespan="off",
        access_log=False,
        # A second one never has anything to do while Python decides, and yet is woken for it, request after request.
        runtime_threads=1,
        **own,
    )


def http_config(
    listener: socket.socket | None,
    tls: TlsSettings | None = None,
    *,
    connections: int,
    silence: float,
    max_bytes: int,
) -> Config:
    """Return what suits clients that ask once in a while.

    `silence` in seconds: what a client may say nothing before, within and between its requests; `max_bytes` of a body.
    """
    return config(
        listener,
        tls,
        max_request_body_size=max_bytes,
        limit_connections=connections,
        timeout_handshake=silence,
        timeout_request_header=silence,
        timeout_request_body_idle=silence,
        timeout_keep_alive=silence,
        timeout_graceful_shutdown=1.0,
    )


def leaving(scope: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    """Return the header that ends a connection with its answer, so that nobody keeps a place by asking on and on.

    HTTP/2 has none; there the connection stays until its client is silent.
    """
    return [(b"connection", b"close")] if scope["http_version"].startswith("1") else []
