"""Clients on real sockets: grpcio's, and a bare HTTP/2 one that can say what no gRPC library would."""

import socket
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import grpc
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from msgspec import Struct

from ztag_extauthz.server.service import CHECK

UNIX = "unix://"
_GOAWAY = 7


class Tls(Struct, frozen=True):
    """What a client knows and shows."""

    authority: Path
    certificate: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.authority)
        context.set_alpn_protocols(["h2"])
        if self.certificate:
            context.load_cert_chain(self.certificate, self.key)
        return context

    def credentials(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(
            self.authority.read_bytes(),
            self.key.read_bytes() if self.key else None,
            self.certificate.read_bytes() if self.certificate else None,
        )


def channel(address: str, tls: Tls | None = None) -> grpc.Channel:
    target = address.replace(UNIX, "unix:")
    # Channels of one process share their connections otherwise, and a test would see another's certificate.
    options = [("grpc.use_local_subchannel_pool", 1)]
    return grpc.secure_channel(target, tls.credentials(), options) if tls else grpc.insecure_channel(target, options)


def check(opened: grpc.Channel, path: str = CHECK) -> "grpc.UnaryUnaryMultiCallable[bytes, bytes]":
    return opened.unary_unary(path, bytes, bytes)


def watch(opened: grpc.Channel) -> "grpc.UnaryStreamMultiCallable[bytes, bytes]":
    return opened.unary_stream("/grpc.health.v1.Health/Watch", bytes, bytes)


def call(
    address: str, message: bytes, *, tls: Tls | None = None, path: str = CHECK, timeout: float | None = 5
) -> bytes:
    """Call a unary method; raises `grpc.RpcError`."""
    with channel(address, tls) as opened:
        return check(opened, path)(message, timeout=timeout)


class Answer(Struct):
    """What came back on one stream."""

    headers: dict[bytes, bytes] = {}
    data: bytes = b""
    trailers: dict[bytes, bytes] = {}
    reset: int | None = None

    @property
    def status(self) -> int:
        """The gRPC status, in the headers where there is nothing but trailers; -1 if there is none."""
        return int((self.trailers or self.headers).get(b"grpc-status", b"-1"))


class RawClient:
    """One HTTP/2 connection."""

    def __init__(self, address: str, tls: Tls | None = None) -> None:
        self._socket = connect(address, tls)
        self._socket.settimeout(10)
        self._h2 = H2Connection(H2Configuration(header_encoding=None))
        self._h2.initiate_connection()
        self._flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def begin(
        self,
        path: str = CHECK,
        extra: Sequence[tuple[str, str]] = (),
        content_type: str | None = "application/grpc",
        method: str = "POST",
    ) -> int:
        """Send the headers of a request; return its stream."""
        stream = self._h2.get_next_available_stream_id()
        headers = [
            (":method", method),
            (":scheme", "http"),
            (":path", path),
            (":authority", "ztag"),
            ("te", "trailers"),
        ]
        typed = [("content-type", content_type)] if content_type else []
        self._h2.send_headers(stream, [*headers, *typed, *extra])
        self._flush()
        return stream

    def send(self, stream: int, data: bytes, *, end: bool = True) -> None:
        size = self._h2.max_outbound_frame_size
        for at in range(0, len(data), size):
            self._h2.send_data(stream, data[at : at + size])
            self._flush()
        if end:
            self._h2.end_stream(stream)
            self._flush()

    def reset(self, stream: int) -> None:
        self._h2.reset_stream(stream)
        self._flush()

    def answer(self, stream: int) -> Answer:
        """Read until a stream is over."""
        answer = Answer(headers={}, trailers={})
        for event in self._events():
            if getattr(event, "stream_id", None) != stream:
                continue
            if isinstance(event, ResponseReceived):
                answer.headers = dict(event.headers)
            elif isinstance(event, DataReceived):
                answer.data += event.data
            elif isinstance(event, TrailersReceived):
                answer.trailers = dict(event.headers)
            elif isinstance(event, StreamReset):
                answer.reset = int(event.error_code)
                return answer
            elif isinstance(event, StreamEnded):
                return answer
        return answer

    def goaway(self) -> int:
        """Read frames until the server says that it is going away, and return its error code."""
        unread = b""
        while received := self._socket.recv(65536):
            unread += received
            while len(unread) >= 9 and len(unread) >= (end := 9 + int.from_bytes(unread[:3])):
                if unread[3] == _GOAWAY:
                    return int.from_bytes(unread[13:17])
                unread = unread[end:]
        raise ConnectionError("closed without GOAWAY")

    def call(self, data: bytes, **request: object) -> Answer:
        stream = self.begin(**request)  # type: ignore[arg-type]
        self.send(stream, data)
        return self.answer(stream)

    def _events(self) -> Iterator[Event]:
        while received := self._socket.recv(65536):
            yield from self._h2.receive_data(received)
            self._flush()

    def _flush(self) -> None:
        self._socket.sendall(self._h2.data_to_send())


def connect(address: str, tls: Tls | None = None) -> socket.socket:
    if address.startswith(UNIX):
        connected = socket.socket(socket.AF_UNIX)
        connected.connect(address.removeprefix(UNIX))
        return connected
    host, _, port = address.rpartition(":")
    connected = socket.create_connection((host, int(port)), timeout=10)
    return tls.context().wrap_socket(connected, server_hostname=host) if tls else connected
