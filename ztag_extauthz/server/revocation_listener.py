"""The socket that revocations come in at (`listen.revocation`), in the supervisor."""

import logging
from functools import partial

from ztag_extauthz.component import Resources
from ztag_extauthz.server import tls
from ztag_extauthz.server.listener import Listener, http_config
from ztag_extauthz.server.peers import Peers
from ztag_extauthz.server.revocations import MAX_BYTES, Revocations
from ztag_extauthz.server.sockets import Bound
from ztag_extauthz.settings import ListenSettings, Settings

_LOG = logging.getLogger("ztag.server")
_CONNECTIONS = 1024
_SILENCE = 5.0


class RevocationListener:
    """Takes revocations at one socket."""

    def __init__(self, bound: Bound, listen: ListenSettings, resources: Resources) -> None:
        self._address = bound.address
        self._tls = files = listen.revocation_tls
        self._digest = tls.digest(files)
        self._app = Revocations(resources, Peers(files.allowed_clients if files else ()))
        config = partial(
            http_config, bound.socket, files, connections=_CONNECTIONS, silence=_SILENCE, max_bytes=MAX_BYTES
        )
        self._listener = Listener("revocation", self._app, config)

    async def start(self, settings: Settings) -> None:
        """Accept connections from now on. Raises `SettingsError`."""
        await self._app.serve(settings.revocation)
        await self._listener.serve()
        _LOG.info("revocations are taken at %s", self._address)

    async def reload(self, settings: Settings) -> None:
        """Serve under new settings, and with the TLS files as they are now. Raises `SettingsError`."""
        await self._app.serve(settings.revocation)
        digest = tls.digest(self._tls)
        if digest != self._digest:
            self._digest = digest
            await self._listener.serve()

    async def stop(self) -> None:
        """Answer what is under way, and let go of everything."""
        await self._listener.stop()
        await self._app.serve(None)
