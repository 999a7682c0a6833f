"""An open-loop load generator for HTTP/1.1: requests are due at a constant rate, whatever becomes of earlier ones.

Latency counts from when a request was due, not from when it could be sent (no coordinated omission). Python is not
fast: the generator is a process of its own and says how late it sent at most (`lag`). All connections being
busy makes it late, too; where they are not, it was at its own limit, and not the server.
"""

import multiprocessing
import select
import socket
import time
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import RawValue
from typing import Any, Final

from msgspec import Struct

TIMEOUT: Final = 5.0
"""Seconds after which a request is given up; Envoy's own for a check are shorter."""
LOST: Final = 0
"""The status of a request that got no answer."""


class Ask(Struct, frozen=True):
    """A request, the only right answer to it, and the header that has to be in it."""

    request: bytes
    status: int
    proof: bytes = b""


class Shot(Struct, frozen=True):
    """One request: when it was due and answered (seconds of `time.monotonic`), and what came."""

    ask: int
    due: float
    answered: float
    status: int
    wrong: bool
    """Another decision than the right one: never because something failed, which is a 5xx or no answer."""

    @property
    def latency(self) -> float:
        return self.answered - self.due


class Load:
    """Asks from its making until `stop`; at a rate of 0 each connection asks again as soon as it has its answer."""

    def __init__(self, edge: tuple[str, int], asks: Sequence[Ask], rate: float, connections: int = 64) -> None:
        context = multiprocessing.get_context("spawn")
        self._running = RawValue("b", 1)
        self._pipe, theirs = context.Pipe(duplex=False)
        given = (_Generator, (edge, asks, rate, connections), self._running, theirs)
        self._process = context.Process(target=_run, args=given, daemon=True)
        self._process.start()
        theirs.close()
        self._pipe.recv()  # it has begun

    @property
    def pid(self) -> int:
        """The generator's process."""
        return self._process.pid or 0

    def stop(self) -> tuple[list[Shot], float]:
        """Return what came of every request, and the largest lag in seconds."""
        self._running.value = 0
        shots, lag = self._pipe.recv()
        self._process.join()
        return shots, lag

    def end(self) -> None:
        """End the process, if it did not end by `stop`."""
        self._process.kill()
        self._process.join()


def _run(kind: "type[_Generator]", given: Any, running: Any, pipe: Connection) -> None:
    generator = kind(*given)
    pipe.send("begun")
    pipe.send(generator.run(running))


class _Peer:
    """A connection to Envoy, with at most one request under way."""

    __slots__ = ("ask", "due", "sent", "socket", "unread")

    def __init__(self, edge: tuple[str, int]) -> None:
        self.socket = socket.create_connection(edge, TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(0.0)
        self.unread = b""
        self.ask, self.due, self.sent = -1, 0.0, 0.0


class _Generator:
    def __init__(self, edge: tuple[str, int], asks: Sequence[Ask], rate: float, connections: int) -> None:
        self._edge, self._asks, self._gap = edge, asks, 1.0 / rate if rate else 0.0
        self._poll = select.epoll()
        self._peers: dict[int, _Peer] = {}
        self._idle: list[_Peer] = []
        self._waiting: deque[tuple[int, float]] = deque()
        self._shots: list[Shot] = []
        self._lag = 0.0
        for _ in range(connections):
            self._connect()

    def run(self, running: Any) -> tuple[list[Shot], float]:
        due, number, looked = time.monotonic(), 0, 0.0
        while running.value or self._busy():
            now = time.monotonic()
            while running.value and due <= now and (self._gap or len(self._waiting) < len(self._idle)):
                self._waiting.append((number % len(self._asks), due))
                due, number = (due + self._gap) if self._gap else now, number + 1
            self._send(now)
            for file, _ in self._poll.poll(max(0.0, min(due - time.monotonic(), 0.05)) if self._gap else 0.05):
                self._receive(self._peers[file])
            if now - looked > 0.2:
                looked = now
                self._give_up(now)
        return self._shots, self._lag

    def _busy(self) -> bool:
        return bool(self._waiting) or len(self._idle) < len(self._peers)

    def _connect(self) -> None:
        peer = _Peer(self._edge)
        self._peers[peer.socket.fileno()] = peer
        self._poll.register(peer.socket, select.EPOLLIN)
        self._idle.append(peer)

    def _send(self, now: float) -> None:
        while self._waiting and self._idle:
            peer = self._idle.pop()
            peer.ask, peer.due = self._waiting.popleft()
            peer.sent = now
            self._lag = max(self._lag, now - peer.due)
            try:
                peer.socket.sendall(self._asks[peer.ask].request)
            except OSError:
                self._lose(peer)

    def _receive(self, peer: _Peer) -> None:
        try:
            received = peer.socket.recv(1 << 16)
        except OSError:
            received = b""
        if not received:
            self._lose(peer)
            return
        data = peer.unread + received
        end = data.find(b"\r\n\r\n")
        if end < 0 or len(data) < end + 4 + _length(data[:end]):
            peer.unread = data
            return
        peer.unread = b""
        self._note(peer, int(data[9:12]), data[: end + 2])
        self._idle.append(peer)

    def _note(self, peer: _Peer, status: int, head: bytes) -> None:
        ask = self._asks[peer.ask]
        failed = status == LOST or status >= 500
        wrong = not failed and (status != ask.status or ask.proof not in head)
        self._shots.append(Shot(peer.ask, peer.due, time.monotonic(), status, wrong))
        peer.ask = -1

    def _lose(self, peer: _Peer) -> None:
        self._poll.unregister(peer.socket)
        del self._peers[peer.socket.fileno()]
        peer.socket.close()
        if peer.ask >= 0:
            self._note(peer, LOST, b"")
        else:
            self._idle.remove(peer)
        self._connect()

    def _give_up(self, now: float) -> None:
        for peer in [peer for peer in self._peers.values() if peer.ask >= 0 and now - peer.sent > TIMEOUT]:
            self._lose(peer)


def _length(head: bytes) -> int:
    at = head.lower().find(b"\r\ncontent-length:")
    return int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
