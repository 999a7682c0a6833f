"""A closed-loop gRPC load generator for one connection, because a gRPC client in Python is slower than the server.

Requests are encoded once; on the way the stream id is written into them, and what no two requests of an Envoy have in
common: its own name for the request, the time, the client's port and `x-request-id`. So the generator costs about a
third of what the server does, and what it measures is the server. HTTP/2 is spoken as far as a well-behaved gRPC server
needs it (RFC 9113): no priorities, no push, header blocks without the dynamic table.
"""

import socket
import ssl
import struct
from collections.abc import Sequence
from statistics import quantiles
from time import perf_counter

from msgspec import Struct

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_LARGEST = 2**31 - 1
NUMBERED = (b"\x0a\x14119625458169", b"x-request-id\x12\x24")
"""What stands before eight digits that differ with each request: in `http.id`, and in the header."""


class Result(Struct, frozen=True):
    """What one run found."""

    answered: int
    failed: int
    """Streams that ended with a gRPC status other than 0, or were reset."""
    seconds: float
    latencies: tuple[float, ...]
    """Seconds, one a request, in order of completion."""

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answered / self.seconds

    def percentile(self, percent: int) -> float:
        """Return a latency percentile (1 to 99) in seconds."""
        return quantiles(self.latencies, n=100)[percent - 1]


class LostConnectionError(Exception):
    """The server closed the connection."""


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def _literal(name: str, value: str) -> bytes:
    """Encode a field as a literal that is never indexed, lengths below 127 (RFC 7541 6.2.3)."""
    return b"\x10" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()


def _header_block(path: str, authority: str) -> bytes:
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": authority,
        "content-type": "application/grpc",
        "te": "trailers",
        "grpc-timeout": "2S",
    }
    return b"".join(_literal(name, value) for name, value in fields.items())


class _Template:
    """A request whose stream id is still to be written, and what differs with each request."""

    def __init__(self, message: bytes, path: str, authority: str) -> None:
        headers = _frame(_HEADERS, _END_HEADERS, 0, _header_block(path, authority))
        data = _frame(_DATA, _END_STREAM, 0, b"\0" + struct.pack(">I", len(message)) + message)
        self._bytes = bytearray(headers + data)
        self._second = len(headers) + 5
        self._numbers = [self._bytes.find(mark) + len(mark) for mark in NUMBERED if mark in self._bytes]
        self.window = len(message) + 5

    def on(self, stream: int) -> bytes:
        struct.pack_into(">I", self._bytes, 5, stream)
        struct.pack_into(">I", self._bytes, self._second, stream)
        number = b"%08d" % (stream % 100_000_000)
        for place in self._numbers:
            self._bytes[place : place + 8] = number
        return bytes(self._bytes)


class Connection:
    """One HTTP/2 connection with a fixed number of requests under way."""

    def __init__(self, address: str, messages: Sequence[bytes], path: str, tls: ssl.SSLContext | None = None) -> None:
        self._socket = _connect(address, tls)
        self.exchange(messages, path)
        self._started: dict[int, float] = {}
        self._latencies: list[float] = []
        self._failed = 0
        self._next = 1
        self._window = 65_535
        self._unread = b""
        self._socket.sendall(
            _PREFACE
            + _frame(_SETTINGS, 0, 0, struct.pack(">HIHI", 1, 0, 4, _LARGEST))
            + _frame(_WINDOW, 0, 0, struct.pack(">I", _LARGEST - 65_535))
        )

    def run(self, requests: int, concurrency: int) -> Result:
        """Answer `requests` requests, `concurrency` of them at a time."""
        self._latencies, self._failed = [], 0
        began = perf_counter()
        unsent = requests
        while len(self._latencies) < requests:
            unsent -= self._send(min(unsent, concurrency - len(self._started)))
            self._receive()
        return Result(requests - self._failed, self._failed, perf_counter() - began, tuple(self._latencies))

    def exchange(self, messages: Sequence[bytes], path: str) -> None:
        """Ask something else from now on."""
        self._templates = [_Template(message, path, "ztag") for message in messages]

    def close(self) -> None:
        self._socket.close()

    def _send(self, most: int) -> int:
        out: list[bytes] = []
        now = perf_counter()
        for _ in range(most):
            template = self._templates[(self._next >> 1) % len(self._templates)]
            if template.window > self._window:
                break
            self._window -= template.window
            out.append(template.on(self._next))
            self._started[self._next] = now
            self._next += 2
        if out:
            self._socket.sendall(b"".join(out))
        return len(out)

    def _receive(self) -> None:
        received = self._socket.recv(1 << 18)
        if not received:
            raise LostConnectionError
        data = self._unread + received if self._unread else received
        now = perf_counter()
        at, size = 0, len(data)
        while at + 9 <= size:
            end = at + 9 + int.from_bytes(data[at : at + 3])
            if end > size:
                break
            self._take(data[at + 3], data[at + 4], int.from_bytes(data[at + 5 : at + 9]), data[at + 9 : end], now)
            at = end
        self._unread = data[at:]

    def _take(self, kind: int, flags: int, stream: int, payload: bytes, now: float) -> None:
        # A refused stream may be reset after its answer, so it is counted once.
        if (kind == _RST or (kind == _HEADERS and flags & _END_STREAM)) and stream in self._started:
            self._latencies.append(now - self._started.pop(stream))
            self._failed += kind == _RST or not _is_ok(payload)
        elif kind == _WINDOW and stream == 0:
            self._window += int.from_bytes(payload)
        elif kind == _SETTINGS and not flags & _ACK:
            self._socket.sendall(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self._socket.sendall(_frame(_PING, _ACK, 0, payload))
        elif kind == _GOAWAY:
            raise LostConnectionError


_NAMES = (b"grpc-status", b"\x9a\xca\xc8\xb2\x12\x34\xda\x8f")
_ZEROS = (b"\x010", b"\x81\x07")
_OK = tuple(name + zero for name in _NAMES for zero in _ZEROS)
"""`grpc-status: 0` as servers write it while our settings switch the dynamic table off: plain or Huffman-coded."""


def _is_ok(trailers: bytes) -> bool:
    return any(ok in trailers for ok in _OK)


def _connect(address: str, tls: ssl.SSLContext | None) -> socket.socket:
    if address.startswith("unix://"):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(address.removeprefix("unix://"))
        return connection
    host, _, port = address.rpartition(":")
    connection = socket.create_connection((host, int(port)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return tls.wrap_socket(connection, server_hostname=host) if tls else connection
