"""The gRPC engine on h2corn, an HTTP/2 ASGI server in Rust: several times faster than grpcio.

h2corn does HTTP/2, TLS and flow control; gRPC's own layer is here. The way of a Check is kept thin: no task, no timer
and no object more than it needs.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from time import monotonic
from typing import TypeAlias

from h2corn import Config, RequestPolicy

from ztag_extauthz.server.backlog import Backlog
from ztag_extauthz.server.core import RpcError, Status
from ztag_extauthz.server.engine import Engine, Place, internal
from ztag_extauthz.server.framing import (
    ENCODINGS,
    PREFIX,
    allowance,
    frame,
    is_grpc,
    length_of,
    seconds_of,
    status_headers,
    unpack,
)
from ztag_extauthz.server.listener import Listener, config
from ztag_extauthz.server.peers import Peers
from ztag_extauthz.server.reading import UNFINISHED, Event, GoneError, Reader, Receive, Unfinished
from ztag_extauthz.server.service import Dialogue, Service, Streaming
from ztag_extauthz.settings import ServerSettings

Send: TypeAlias = Callable[[Event], Awaitable[None]]
Headers: TypeAlias = Mapping[bytes, bytes]

_CONTENT_TYPE = (b"content-type", b"application/grpc")
_ACCEPTED = (b"grpc-accept-encoding", ENCODINGS.encode())
_START = {"type": "http.response.start", "status": 200, "headers": [_CONTENT_TYPE, _ACCEPTED], "trailers": True}
_OK = {"type": "http.response.trailers", "headers": [(b"grpc-status", b"0")]}
_BODY = "http.response.body"

_BODY_IDLE_SECONDS = 10.0
"""How long a client may let us wait for the rest of a message."""
_UNLIMITED = 2**32 - 1
LASTING = 1024
"""Calls without an end of their own (access logs, health's `Watch`) at the same time; they are no Check's concern."""
OF_ONE_METHOD = LASTING * 3 // 4
"""How many of them may be of one method, so that those who watch leave places to those who tell, and the other way."""
HEADROOM = LASTING + UNFINISHED + 64
"""Calls above `max_in_flight` that reach us, so that those that wait for their client take no Check's place."""
_LEAST_LEFT = 0.25
"""Part of a deadline that has to be left for a request to be worth deciding."""


class H2corn(Engine):
    """One embedded h2corn server."""

    def __init__(self, service: Service, place: Place, settings: ServerSettings) -> None:
        super().__init__(service, place, settings)
        app = _App(service, self.peers, settings)
        self._listener = Listener("gRPC", app, partial(_config, place, settings))

    async def start(self) -> None:
        """Accept connections from now on."""
        await self._listener.serve()

    async def renew(self) -> None:
        """Start a server with the new certificates beside the old one, and let the old one finish."""
        await self._listener.serve()

    async def stop(self) -> None:
        """Stop accepting, send GOAWAY, and wait for the calls under way."""
        await self._listener.stop()


def _config(place: Place, settings: ServerSettings) -> Config:
    return config(
        place.listener,
        place.tls,
        grpc=True,
        http1=False,
        date_header=False,
        timeout_graceful_shutdown=settings.drain_timeout,
        # Envoy fails the requests that a server's limit on streams keeps out; `max_in_flight` sheds them better.
        max_concurrent_streams=_UNLIMITED,
        # Requests wait for the event loop where Python cannot see them; h2corn counts them, and answers 503 (for gRPC:
        # UNAVAILABLE) to those that are too many. What it lets through above `max_in_flight` the core refuses.
        limit_concurrency=settings.max_in_flight + HEADROOM,
        # An Envoy may be silent for hours, and closing its connection could cross a request. TCP keep-alive, which the
        # listening socket hands down, finds those that died.
        timeout_keep_alive=0,
        request_policies=(
            RequestPolicy(
                path="/*",
                # The message's prefix tells us its length before it comes, and then gRPC has a status for it.
                max_request_body_size=0,
                timeout_request_body_idle=_BODY_IDLE_SECONDS,
                h2_timeout_response_stall=60.0,
            ),
        ),
    )


class _App:
    """The ASGI application."""

    def __init__(self, service: Service, peers: Peers, settings: ServerSettings) -> None:
        self._unary = service.unary
        self._streaming = service.streaming
        self._dialogues = service.dialogues
        self._peers = None if peers.everybody else peers
        self._limit = settings.max_message_bytes
        self._default = settings.default_deadline
        self._backlog = Backlog()
        self._unfinished = Unfinished()
        self._lasting = Counter[str]()

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        method = self._unary.get(scope["path"])
        headers = dict(scope["headers"])
        try:
            if method is None or scope["method"] != "POST" or not is_grpc(headers.get(b"content-type")):
                await self._other(scope, headers, receive, send)
                return
            if self._peers is not None:
                self._peers.admit(certificate(scope))
            deadline = self._deadline(headers)
            answer = frame(await method(await self._message(headers, receive, deadline), deadline))
        except RpcError as error:
            await _refuse(send, error)
            return
        except GoneError:
            return
        except Exception as error:  # noqa: BLE001 - an error must reach Envoy as one
            await _refuse(send, internal(error))
            return
        await send(_START)
        await send({"type": _BODY, "body": answer})
        await send(_OK)

    def _deadline(self, headers: Headers) -> float:
        timeout = headers.get(b"grpc-timeout")
        seconds = seconds_of(timeout) if timeout is not None else None
        allowed = self._default if seconds is None else allowance(seconds)
        now = monotonic()
        left = allowed - self._backlog.waited(now)
        # With little of it left the answer would come too late, and so would those behind it: over at once.
        return now + (left if left > allowed * _LEAST_LEFT else 0.0)

    async def _message(self, headers: Headers, receive: Receive, deadline: float) -> bytes:
        coming = receive()
        # What h2corn has already got is no future, and needs no timer.
        event = await (self._unfinished.wait(coming, deadline) if asyncio.isfuture(coming) else coming)
        body: bytes = event.get("body", b"")
        # Nearly every message comes in one piece. We don't wait for the end of the stream then: what a client says
        # after the one message of a unary call is nothing to us.
        if len(body) < PREFIX or len(body) != PREFIX + length_of(body, self._limit):
            body = await self._unfinished.wait(Reader(receive, self._limit, event).frame(), deadline)
        return unpack(body[0], body[PREFIX:], headers.get(b"grpc-encoding"), self._limit)

    async def _other(self, scope: Event, headers: Headers, receive: Receive, send: Send) -> None:
        """Answer all that is no unary gRPC call of ours."""
        if scope["method"] != "POST" or not is_grpc(headers.get(b"content-type")):
            await _plain(send, 405 if scope["method"] != "POST" else 415)
            return
        if self._peers is not None:
            self._peers.admit(certificate(scope))
        path = scope["path"]
        streaming, dialogue = self._streaming.get(path), self._dialogues.get(path)
        if streaming:
            with self._place(path):
                await self._stream(streaming, headers, receive, send)
        elif dialogue:
            with self._place(path):
                await self._converse(dialogue, headers, receive, send)
        else:
            raise RpcError(Status.UNIMPLEMENTED, "unknown method")

    @contextlib.contextmanager
    def _place(self, path: str) -> Iterator[None]:
        if self._lasting[path] >= OF_ONE_METHOD or self._lasting.total() >= LASTING:
            raise RpcError(Status.RESOURCE_EXHAUSTED, f"{self._lasting.total()} lasting calls are open already")
        self._lasting[path] += 1
        try:
            yield
        finally:
            self._lasting[path] -= 1

    async def _stream(self, method: Streaming, headers: Headers, receive: Receive, send: Send) -> None:
        message = await self._message(headers, receive, self._deadline(headers))
        await send(_START)
        trailers = _OK
        try:
            async for answer in method(message):
                await send({"type": _BODY, "body": frame(answer), "more_body": True})
        except RpcError as error:
            trailers = {**_OK, "headers": status_headers(error)}
        await send({"type": _BODY})
        await send(trailers)

    async def _converse(self, method: Dialogue, headers: Headers, receive: Receive, send: Send) -> None:
        reader = Reader(receive, self._limit)
        await send(_START)
        trailers = _OK
        try:
            while body := await reader.next_frame():
                message = unpack(body[0], body[PREFIX:], headers.get(b"grpc-encoding"), self._limit)
                for answer in await method(message):
                    await send({"type": _BODY, "body": frame(answer), "more_body": True})
        except RpcError as error:
            trailers = {**_OK, "headers": status_headers(error)}
        await send({"type": _BODY})
        await send(trailers)


def certificate(scope: Event) -> str | None:
    """Return the client's own certificate in PEM; h2corn gives the same text to all requests of a connection."""
    chain = scope["extensions"].get("tls", {}).get("client_cert_chain", ())
    return chain[0] if chain else None


async def _refuse(send: Send, error: RpcError) -> None:
    """Answer with trailers only."""
    # A client that went away, or an answer that has begun, cannot be told any more.
    with contextlib.suppress(OSError, RuntimeError):
        headers = [_CONTENT_TYPE, _ACCEPTED, *status_headers(error)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": _BODY})


async def _plain(send: Send, status: int) -> None:
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": _BODY})
