"""Messages that come in pieces: put together, and not waited for too long.

Whoever begins many calls and finishes none must not keep the others out: what is waited for is bounded in time and in
number.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias, TypeVar

from ztag_extauthz.server.core import RpcError, Status
from ztag_extauthz.server.framing import PREFIX, length_of

Event: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Event]]
T = TypeVar("T")

UNFINISHED = 256
"""Messages that one worker waits for at the same time."""
PATIENCE = 2.0
"""Seconds that a message may take to come; a caller's own deadline may be hours."""


class GoneError(Exception):
    """The client has gone away: nobody waits for an answer."""


class Unfinished:
    """The messages that have not come whole. Where they are too many, the one waited for longest gives way."""

    def __init__(self, most: int = UNFINISHED) -> None:
        self._most = most
        self._waited_for: dict[asyncio.Timeout, None] = {}

    async def wait(self, coming: Awaitable[T], deadline: float) -> T:
        """Return what comes until `deadline` (`time.monotonic`). Raises `RpcError` DEADLINE_EXCEEDED."""
        if len(self._waited_for) >= self._most:
            self._give_way()
        loop = asyncio.get_running_loop()
        patience = asyncio.timeout_at(min(deadline, loop.time() + PATIENCE))
        self._waited_for[patience] = None
        try:
            async with patience:
                return await coming
        except TimeoutError:
            raise RpcError(Status.DEADLINE_EXCEEDED, "the message did not come in time") from None
        finally:
            self._waited_for.pop(patience, None)

    def _give_way(self) -> None:
        oldest = next(iter(self._waited_for))
        del self._waited_for[oldest]
        if not oldest.expired():
            oldest.reschedule(asyncio.get_running_loop().time())


class Reader:
    """Puts frames together that came in pieces."""

    def __init__(self, receive: Receive, limit: int, first: Event | None = None) -> None:
        self._receive = receive
        self._limit = limit
        self._unread = bytearray()
        self._open = True
        if first:
            self._take(first)

    async def frame(self) -> bytes:
        """Return the first frame. Raises `RpcError` where there is none, and above the limit."""
        found = await self.next_frame()
        if not found:
            raise RpcError(Status.INTERNAL, "the stream ended without a message")
        return found

    async def next_frame(self) -> bytes:
        """Return the next frame with its prefix, b"" at the end of the stream."""
        if not await self._fill(PREFIX):
            if self._unread:
                raise RpcError(Status.INTERNAL, "the stream ended within a message")
            return b""
        end = PREFIX + length_of(self._unread, self._limit)
        if not await self._fill(end):
            raise RpcError(Status.INTERNAL, "the stream ended within a message")
        found = bytes(self._unread[:end])
        del self._unread[:end]
        return found

    async def _fill(self, size: int) -> bool:
        while len(self._unread) < size and self._open:
            self._take(await self._receive())
        return len(self._unread) >= size

    def _take(self, event: Event) -> None:
        if event["type"] != "http.request":
            raise GoneError
        self._unread += event.get("body", b"")
        self._open = event.get("more_body", False)
