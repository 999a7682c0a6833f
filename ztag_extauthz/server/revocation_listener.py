"""The socket that revocations come in at (`listen.revocation`), in the supervisor."""

import asyncio
import logging
from pathlib import Path

from h2corn import Config, Server

from ztag_extauthz.component import Resources
from ztag_extauthz.server import tls
from ztag_extauthz.server.peers import Peers
from ztag_extauthz.server.revocations import MAX_BYTES, Revocations
from ztag_extauthz.server.sockets import Bound
from ztag_extauthz.settings import ListenSettings, Settings

_LOG = logging.getLogger("ztag.server")
_CONNECTIONS = 1024
_SILENCE = 5.0
"""Seconds that a client may say nothing before, within and between its requests."""


class RevocationListener:
    """One embedded HTTP server; a second one takes over the same socket when the certificates change."""

    def __init__(self, bound: Bound, listen: ListenSettings, resources: Resources) -> None:
        self._bound = bound
        self._tls = listen.revocation_tls
        self._files = tls.digest(self._tls)
        self._app = Revocations(resources, Peers(self._tls.allowed_clients if self._tls else ()))
        self._server: Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def start(self, settings: Settings) -> None:
        """Accept connections from now on. Raises `SettingsError`."""
        await self._app.serve(settings.revocation)
        await self._launch()
        _LOG.info("revocations are taken at %s", self._bound.address)

    async def reload(self, settings: Settings) -> None:
        """Serve under new settings, and with the TLS files as they are now. Raises `SettingsError`."""
        await self._app.serve(settings.revocation)
        files = tls.digest(self._tls)
        if files != self._files:
            self._files = files
            old = self._server
            await self._launch()
            if old:
                old.shutdown()

    async def stop(self) -> None:
        """Answer what is under way, and let go of everything."""
        if self._server:
            self._server.shutdown()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._app.serve(None)

    async def _launch(self) -> None:
        server = Server(self._app, self._config())
        serving = asyncio.create_task(server.serve())
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)
        await server.wait_started()
        self._server = server

    def _config(self) -> Config:
        if self._bound.socket is None:
            raise ValueError("the listener for revocations needs host:port")
        files = self._tls
        return Config(
            bind=(f"fd://{self._bound.socket.fileno()}",),
            certfile=Path(files.certificate) if files else None,
            keyfile=Path(files.key) if files else None,
            ca_certs=Path(files.client_ca) if files and files.client_ca else None,
            cert_reqs="required" if files and files.client_ca else "none",
            lifespan="off",
            access_log=False,
            max_request_body_size=MAX_BYTES,
            limit_connections=_CONNECTIONS,
            timeout_handshake=_SILENCE,
            timeout_request_header=_SILENCE,
            timeout_request_body_idle=_SILENCE,
            timeout_keep_alive=_SILENCE,
            timeout_graceful_shutdown=1.0,
            runtime_threads=1,
        )
