"""What both engines serve: methods by path, bytes in, bytes out."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from time import monotonic
from typing import Protocol, TypeAlias

from msgspec import Struct, field

from ztag_extauthz.server.core import RpcError, Status
from ztag_extauthz.server.health import SERVICE, Health

CHECK = "/envoy.service.auth.v3.Authorization/Check"
ACCESS_LOG = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs"

Unary: TypeAlias = Callable[[bytes, float], Awaitable[bytes]]
"""Message and deadline (seconds of `time.monotonic`) to the answer; raises `RpcError`."""
Streaming: TypeAlias = Callable[[bytes], AsyncIterator[bytes]]
"""One message to answers without end; raises `RpcError`."""
Dialogue: TypeAlias = Callable[[bytes], Awaitable[Iterable[bytes]]]
"""Each message of a stream to its answers; raises `RpcError`."""
MAX_LOG_BYTES = 1 << 18
"""Bytes of one access-log message; Envoy sends its entries as soon as they are 16 KiB."""
_PAUSE = 3
"""After hearing how requests ended, this many times as long is left to Checks: a quarter of a worker at most."""


class Checker(Protocol):
    """What answers a Check: `core.Core`."""

    async def check(self, message: bytes, deadline: float) -> bytes: ...

    def ended(self, message: bytes) -> None: ...


class Service(Struct):
    """The methods of one worker. `checker` is replaced by a reload; calls under way keep the one they began with."""

    checker: Checker
    health: Health
    reflection: Mapping[str, Dialogue] = {}
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def unary(self) -> Mapping[str, Unary]:
        return {CHECK: self.check, f"/{SERVICE}/Check": self.health.check}

    @property
    def streaming(self) -> Mapping[str, Streaming]:
        return {f"/{SERVICE}/Watch": self.health.watch}

    @property
    def dialogues(self) -> Mapping[str, Dialogue]:
        return {ACCESS_LOG: self.listen, **self.reflection}

    async def listen(self, message: bytes) -> Iterable[bytes]:
        """Hear how requests ended, one message at a time whoever sends; Envoy's streams have no answers."""
        if len(message) > MAX_LOG_BYTES:
            raise RpcError(Status.RESOURCE_EXHAUSTED, f"an access log of {len(message)} bytes at once")
        async with self.turn:
            began = monotonic()
            self.checker.ended(message)
            await asyncio.sleep(_PAUSE * (monotonic() - began))
        return ()

    def check(self, message: bytes, deadline: float) -> Awaitable[bytes]:
        """Answer `Check`; not a coroutine itself, which would be one more to step through for each request."""
        return self.checker.check(message, deadline)
