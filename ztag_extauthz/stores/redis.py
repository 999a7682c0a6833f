"""Redis between replicas: what connects, and knows when it is down.

Nobody waits for a Redis that is down: the first failure opens the circuit, and until it is tried again every call fails
at once, at the price of comparing two numbers.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from ztag_extauthz.component import cancelled
from ztag_extauthz.errors import Mistake, SettingsError, UnavailableError
from ztag_extauthz.section import Seconds, Section

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

LOG = logging.getLogger("ztag.redis")
PATIENCE = 2.0
"""Seconds for an answer in the background: to connect, and to find the nodes of a cluster, takes longer than to ask."""
NO_ADDRESS = "is no address of a Redis"
REMEDY = "write redis://host:6379, rediss://host:6379 (TLS) or unix:///path.sock; a password percent-encoded"


class RedisServer(Section):
    """A Redis (6.2 or later) or a Redis Cluster that all replicas share."""

    url: SecretStr | None = None
    """`redis://`, `rediss://` (TLS) or `unix://`, with user and password where there are any."""
    folder: str | None = None
    """Instead of `url`: a folder as Secrets are mounted, with the files `url` and, where there are any, `username`,
    `password` and `ca.crt`."""
    cluster: bool = False
    """The address is of a node of a Redis Cluster."""
    timeout: Seconds = 0.05
    """Seconds for an answer; later means down."""
    retry_after: Seconds = 1.0
    """Seconds until a Redis that was down is tried again."""

    @field_validator("url")
    @classmethod
    def _is_address(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not _shown(url.get_secret_value()):
            raise ValueError(f"{NO_ADDRESS}\n{REMEDY}")
        return url

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.url is None) == (self.folder is None):
            raise ValueError("where Redis is has to be said once\ngive either url or folder")
        if self.folder is not None and not Path(self.folder).is_absolute():
            raise ValueError("folder is no absolute path")
        return self

    def place(self) -> tuple[str, dict[str, Any]]:
        """Return the address and what else redis-py has to know of it. Raises `OSError`, `UnicodeDecodeError`."""
        if self.url is not None:
            return self.url.get_secret_value(), {}
        folder = Path(self.folder or "/")
        known = {name: _text(folder / name) for name in ("username", "password") if (folder / name).exists()}
        authority = folder / "ca.crt"
        return _text(folder / "url"), {**known, **({"ssl_ca_certs": str(authority)} if authority.exists() else {})}

    def check_folder(self) -> None:
        """Raise `SettingsError` where the folder does not say where Redis is."""
        if self.folder is None:
            return
        file = Path(self.folder) / "url"
        try:
            what = "" if _shown(_text(file)) else NO_ADDRESS
        except (OSError, UnicodeDecodeError) as error:
            what = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        if what:
            remedy = "redis.folder holds a file `url` with redis://…, rediss://… or unix://…"
            raise SettingsError((Mistake(str(file), what, remedy),))

    def shown(self) -> str:
        """Return the address for messages: `host:port` or a socket's path, never user or password."""
        try:
            return _shown(self.place()[0]) or f"{self.folder}/url"
        except (OSError, UnicodeDecodeError):
            return f"{self.folder}/url"


class RedisSettings(RedisServer):
    """A Redis (6.2 or later) or a Redis Cluster that all replicas share."""

    replicas: int = Field(default=2, ge=1)
    """How many replicas of ztag share each limit: while Redis is down each one enforces this part of it."""
    lease: float = Field(default=0.25, ge=0, le=1)
    """The part of a burst that a replica may fetch at once, so that most requests need no round trip; 0: none."""
    lease_time: Seconds = 5.0
    """Seconds after which fetched permits are void."""


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()


def _shown(url: str) -> str:
    """Return `host:port` or a socket's path of an address, "" if it is none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 6379
    except ValueError:
        return ""
    if parts.scheme == "unix":
        return parts.path
    if parts.scheme not in {"redis", "rediss"} or not host:
        return ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class RedisStore:
    """Runs scripts; each is sent once and then named by its digest."""

    def __init__(self, settings: RedisServer, monotonic: Callable[[], float], purpose: str = "") -> None:
        """`purpose` is for the log; without one, whoever asks has to tell. Raises `SettingsError`."""
        settings.check_folder()
        self._settings = settings
        self._monotonic = monotonic
        self._purpose = purpose
        self._why = ""
        self._down_until = float("-inf")
        self._client: Any = None
        self._greeting: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Connect in the background: where Redis is not there, that is told before somebody asks for it."""
        self._greeting = asyncio.create_task(self._greet(), name="redis")

    async def _greet(self) -> None:
        from redis.exceptions import NoPermissionError  # noqa: PLC0415 - an extra

        with suppress(UnavailableError):
            async with self._asking(PATIENCE) as client:
                with suppress(NoPermissionError):  # that it may not do even this, a Redis said that is there
                    await client.ping()

    @property
    def down(self) -> bool:
        """Whether calls fail at once."""
        return self._monotonic() < self._down_until

    async def run(self, script: str, digest: str, keys: Sequence[bytes], arguments: Sequence[str | int]) -> Any:
        """Return what the script answers; raises `UnavailableError` in at most `timeout` seconds.

        In a cluster the keys have to share a hash tag.
        """
        from redis.exceptions import NoScriptError  # noqa: PLC0415 - an extra

        async with self._asking() as client:
            try:
                return await client.evalsha(digest, len(keys), *keys, *arguments)
            except NoScriptError:
                return await client.eval(script, len(keys), *keys, *arguments)

    async def secure(self, key: bytes) -> None:
        """Wait until the replicas of the key's node have what this process wrote last, or half of `timeout`.

        Only where nobody else uses this object: Redis waits for what was written on the same connection. Where the
        account may not ask for the replicas (ROLE, WAIT), there is no waiting. Raises `UnavailableError`.
        """
        from redis.exceptions import NoPermissionError  # noqa: PLC0415 - an extra

        async with self._asking() as client:
            with suppress(NoPermissionError):
                await self._wait(client, key)

    async def _wait(self, client: Any, key: bytes) -> None:
        node = {"target_nodes": client.get_node_from_key(key)} if self._settings.cluster else {}
        role = await client.execute_command("ROLE", **node)
        if role[0] == b"master" and role[2]:
            await client.execute_command("WAIT", len(role[2]), int(self._settings.timeout * 500), **node)

    @asynccontextmanager
    async def _asking(self, patience: float = 0.0) -> AsyncIterator[Any]:
        """Give the client for `timeout` seconds, or `patience` if that is longer.

        What goes wrong opens the circuit, and is an `UnavailableError`.
        """
        if self.down:
            raise UnavailableError(self._why)
        try:
            async with asyncio.timeout(max(self._settings.timeout, patience)):
                if self._client is None:
                    self._client = connect(self._settings)
                yield self._client
        except failures() as error:
            self._down_until = self._monotonic() + self._settings.retry_after
            raise self._lost(error) from error
        if self._why:
            self._why = ""
            self._tell(logging.INFO, f"redis at {self._settings.shown()} is up")

    def _lost(self, error: Exception) -> UnavailableError:
        up, self._why = not self._why, why_down(self._settings, error)
        if up:
            where = "redis.url" if self._settings.folder is None else "redis.folder"
            self._tell(logging.WARNING, f"{self._why} (start it, or correct {where})")
        return UnavailableError(self._why)

    def _tell(self, level: int, what: str) -> None:
        if self._purpose:
            LOG.log(level, "%s: %s", self._purpose, what)

    async def close(self) -> None:
        """Close the connections."""
        await cancelled(self._greeting)
        if self._client is not None:
            with suppress(*failures()):
                await self._client.aclose()


@cache
def failures() -> tuple[type[Exception], ...]:
    """Return what is raised where Redis cannot be asked; `ValueError` is a mounted file without an address."""
    from redis.exceptions import RedisClusterException, RedisError  # noqa: PLC0415 - an extra

    return RedisError, RedisClusterException, OSError, TimeoutError, ValueError


def why_down(settings: RedisServer, error: Exception) -> str:
    """Return where Redis is and why it does not answer, without user or password."""
    # A ValueError may quote the address, password and all.
    cause = NO_ADDRESS if isinstance(error, ValueError) else str(error)
    return f"redis at {settings.shown()}: " + ": ".join(filter(None, (type(error).__name__, cause)))


def connect(settings: RedisServer) -> Any:
    """Return redis-py's client; it connects when it is asked first."""
    from redis.asyncio import Redis, RedisCluster  # noqa: PLC0415 - an extra
    from redis.asyncio.retry import Retry  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415

    kind = RedisCluster if settings.cluster else Redis
    # Our circuit is the only one that tries again: a retry inside the timeout would hide how long Redis is down.
    url, options = settings.place()
    return kind.from_url(url, retry=Retry(NoBackoff(), 0), **options)
