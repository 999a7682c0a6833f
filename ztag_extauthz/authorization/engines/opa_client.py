"""HTTP to an OPA server or sidecar, over kept connections; the only file that knows aiohttp."""

import asyncio
import ssl
from contextlib import suppress
from time import monotonic
from typing import Final

import aiohttp
from msgspec import Struct
from yarl import URL

from ztag_extauthz.authorization.engines.opa_settings import UNIX
from ztag_extauthz.errors import UnavailableError

MAX_ANSWER: Final = 4 * 1024 * 1024
_IDLE: Final = 30.0
"""Seconds that a connection is kept; OPA itself has no limit."""
_LOST: Final = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)


class Answer(Struct, frozen=True):
    """What OPA answered."""

    status: int
    body: bytes


class OpaClient:
    """A pool of connections to one OPA. Belongs to the event loop that `start` was called in."""

    def __init__(self, url: str, context: ssl.SSLContext, token: str, connections: int) -> None:
        self._socket = url.removeprefix(UNIX) if url.startswith(UNIX) else None
        self._base = "http://opa" if self._socket else url.rstrip("/")
        self._context = context
        self._headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None
        self.name = self._socket or url

    async def start(self) -> None:
        """Open the pool; connections are made when they are needed."""
        connector: aiohttp.BaseConnector
        if self._socket:
            connector = aiohttp.UnixConnector(self._socket, limit=self._connections, keepalive_timeout=_IDLE)
        else:
            connector = aiohttp.TCPConnector(ssl=self._context, limit=self._connections, keepalive_timeout=_IDLE)
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("accept-encoding", "user-agent"),
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, method: str, path: str, body: bytes | None, deadline: float) -> Answer:
        """Return what OPA says, whatever the status; `path` is quoted, `deadline` in seconds of `time.monotonic`.

        Whatever is asked here may be asked twice, so a kept connection that OPA has closed meanwhile is no failure.
        Raises `UnavailableError`.
        """
        if self._session is None:
            raise UnavailableError(f"OPA at {self.name} is not connected")
        url = URL(self._base + path, encoded=True)
        try:
            async with asyncio.timeout(max(0.0, deadline - monotonic())):
                with suppress(*_LOST):
                    return await self._send(self._session, method, url, body)
                return await self._send(self._session, method, url, body)
        except TimeoutError:
            raise UnavailableError(f"OPA at {self.name} does not answer in time") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise UnavailableError(f"OPA at {self.name} does not answer: {type(error).__name__}") from None

    async def _send(self, session: aiohttp.ClientSession, method: str, url: URL, body: bytes | None) -> Answer:
        async with session.request(method, url, data=body, allow_redirects=False) as response:
            read = bytearray()
            async for chunk in response.content.iter_any():
                read += chunk
                if len(read) > MAX_ANSWER:
                    raise UnavailableError(f"OPA at {self.name} answers with more than {MAX_ANSWER} bytes")
            return Answer(response.status, bytes(read))


def refused(answer: Answer, what: str) -> UnavailableError:
    """Return the error that an answer other than the one expected stands for; OPA's own text may hold values."""
    remedy = {401: "; it wants another token", 403: "; its own authorization policy does not let ztag"}
    return UnavailableError(f"OPA answers {answer.status} to {what}{remedy.get(answer.status, '')}")
