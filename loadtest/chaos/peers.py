"""Peers that mean harm, or are just many: on ztag's own port, and through Envoy."""

import http.client
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import ClassVar

from envoy.service.auth.v3.external_auth_pb2 import CheckRequest

from loadtest.chaos.case import HELD, Case, grpc_address, workers_of
from loadtest.corpus import check_request
from loadtest.generator import _PREFACE, Connection, LostConnectionError, _frame, _header_block
from ztag_extauthz.demo.stack import Stack
from ztag_extauthz.server.service import CHECK

_HEADERS, _RST, _SETTINGS, _CONTINUATION = 1, 3, 4, 9
_HELLO = _PREFACE + _frame(_SETTINGS, 0, 0, b"")
IDLE, ACTIVE = 10_000, 200
MOST_MEMORY = 500 << 20
"""Bytes that one worker may take with all of them."""


class IdleConnections(Case):
    """10,000 more connections on one worker, 2,000 a second, idle but for 200 that ask in turn."""

    workers: ClassVar[int] = 1
    pace: ClassVar[float] = 2000.0
    """Connections that are opened a second at most."""

    @property
    def criterion(self) -> str:
        return f"{super().criterion}; all stay open, in {MOST_MEMORY >> 20} MB"

    def fault(self, stack: Stack) -> None:
        address, (worker,) = grpc_address(stack), workers_of(stack)
        before = _resident(worker)
        message = check_request(stack.issuer.token("ann"), "/orders")
        with ExitStack() as parts:
            began = time.monotonic()
            opened = [parts.enter_context(one) for one in _opened(address, IDLE - ACTIVE, self.pace)]
            active = [Connection(f"{address[0]}:{address[1]}", [message], CHECK) for _ in range(ACTIVE)]
            for connection in active:
                parts.callback(connection.close)
            self.ended_at = time.monotonic()
            self.remarks.append(f"opened in {self.ended_at - began:.1f} s")
            answered = self._ask_in_turn(active)
            alive, held = ACTIVE + sum(map(_is_open, opened)), _resident(worker)
        each = (held - before) / IDLE / 1024
        self.remarks += [
            f"{alive:,} open, {answered:,} answers on {ACTIVE}",
            f"resident {before >> 20} → {held >> 20} MB ({each:.1f} kB each)",
        ]
        self.misses += ["connections were closed"] if alive < IDLE else []
        self.misses += ["too much memory"] if held > MOST_MEMORY else []

    def _ask_in_turn(self, active: Sequence[Connection]) -> int:
        results = []
        while time.monotonic() - (self.ended_at or 0.0) < HELD:
            results += [connection.run(1, 1) for connection in active]
        self.misses += ["an active one was refused"] if any(result.failed for result in results) else []
        return sum(result.answered for result in results)


class IdleConnectionsAtOnce(IdleConnections):
    """The same 10,000, as fast as one process can open them."""

    pace: ClassVar[float] = float("inf")
    may_fail: ClassVar[float] = 0.05
    """About 0.1 ms for each that comes, those that are there wait: the engine's thread takes up to 128 at once, and
    what these push out of its queue has its turn when they have had theirs."""
    recovery: ClassVar[float] = 2.0


class SlowPeers(Case):
    """2,000 connections that say nothing or a byte at a time (slow-loris, half-open)."""

    def fault(self, stack: Stack) -> None:
        address, text = grpc_address(stack), _HELLO + _request(1)
        with ExitStack() as parts:
            opened = [parts.enter_context(socket.create_connection(address, 10)) for _ in range(2000)]
            end, at = time.monotonic() + HELD, 0
            while time.monotonic() < end:
                for one in opened[::2]:
                    with suppress(OSError):
                        one.sendall(text[at : at + 1])
                at += 1
                time.sleep(0.1)


class RapidReset(Case):
    """Requests that are reset as soon as they are sent (CVE-2023-44487), from four connections."""

    def fault(self, stack: Stack) -> None:
        sent = _flood(grpc_address(stack), _resets)
        self.remarks.append(f"{sent[0]:,} resets got through on {sent[1]} connections until each was closed")


class Continuation(Case):
    """Header blocks without end (CONTINUATION, CVE-2024-27316), from four connections."""

    def fault(self, stack: Stack) -> None:
        before = _resident(workers_of(stack)[0])
        sent = _flood(grpc_address(stack), _continuations)
        grown = (_resident(workers_of(stack)[0]) - before) >> 20
        self.remarks.append(f"{sent[0]:,} frames on {sent[1]} connections until each was closed; memory + {grown} MB")


class HostileRequests(Case):
    """Headers of 1 MB, bodies of 5,000 levels, 10,000 query parameters, through Envoy and past it."""

    def fault(self, stack: Stack) -> None:
        token = stack.issuer.token("ann", roles=["editor"])
        seen: Counter[int] = Counter()
        end = time.monotonic() + HELD
        while time.monotonic() < end:
            for path, fields, body in _hostile():
                seen[_status(stack, path, {"authorization": f"Bearer {token}", **fields}, body)] += 1
        self.remarks.append(
            f"through Envoy: {', '.join(f'{count} x {status}' for status, count in sorted(seen.items()))}"
        )
        message = CheckRequest.FromString(check_request(token, "/orders"))
        message.attributes.request.http.headers["x-large"] = "x" * 1_000_000
        direct = Connection(":".join(map(str, grpc_address(stack))), [bytes(message.SerializeToString())], CHECK)
        with suppress(LostConnectionError):
            self.remarks.append(f"1 MB past Envoy: {direct.run(1, 1).answered} answered")
        direct.close()


def _opened(address: tuple[str, int], count: int, pace: float) -> Iterator[socket.socket]:
    """Yield connections that have said hello, `pace` a second."""
    began = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, began + number / pace - time.monotonic()))
        one = socket.create_connection(address, 10)
        one.sendall(_HELLO)
        yield one


def _hostile() -> Sequence[tuple[str, dict[str, str], bytes | None]]:
    deep = b'{"amount":' * 1300 + b"1"  # as much as Envoy hands on: 8 KiB and more
    kind = {"content-type": "application/json"}
    return (
        ("/admin", {"x-large": "x" * 1_000_000}, None),
        ("/orders", kind, deep),
        ("/orders", kind, b"[" * 5000 + b"]" * 5000),
        ("/admin?" + "&".join(f"a{number}=1" for number in range(5000)), {}, None),
        ("/admin?" + "a&" * 10_000, {}, None),
    )


def _status(stack: Stack, path: str, fields: dict[str, str], body: bytes | None) -> int:
    connection = http.client.HTTPConnection(*stack.edge, timeout=10)
    try:
        connection.request("POST" if body else "GET", path, body, fields)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def _request(stream: int) -> bytes:
    return _frame(_HEADERS, 4, stream, _header_block(CHECK, "ztag"))


def _resets(number: int) -> bytes:
    """Return the frames of the next hundred requests that are reset at once."""
    streams = range(200 * number + 1, 200 * number + 201, 2)
    return b"".join(_request(one) + _frame(_RST, 0, one, struct.pack(">I", 8)) for one in streams)


def _continuations(number: int) -> bytes:
    """Return the next hundred frames of one header block; the first one opens it."""
    begin = b"" if number else _frame(_HEADERS, 0, 1, _header_block(CHECK, "ztag"))
    return begin + _frame(_CONTINUATION, 0, 1, b"\x10\x01a\x7f\xff\x03" + b"b" * 4000) * 100


def _flood(address: tuple[str, int], frames: Callable[[int], bytes]) -> tuple[int, int]:
    """Send from four connections, each opened again as often as it is closed; return the frames and the connections."""
    counts: list[tuple[int, int]] = []
    threads = [threading.Thread(target=_send, args=(address, frames, counts)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(sent for sent, _ in counts), sum(opened for _, opened in counts)


def _send(address: tuple[str, int], frames: Callable[[int], bytes], counts: list[tuple[int, int]]) -> None:
    end, sent, opened = time.monotonic() + HELD, 0, 0
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection(address, 2) as peer:
            opened += 1
            peer.sendall(_HELLO)
            number = 0
            while time.monotonic() < end:
                peer.sendall(frames(number))
                number, sent = number + 1, sent + 100
    counts.append((sent, opened))


def _is_open(peer: socket.socket) -> bool:
    """Tell whether a connection was not ended by the other side; reads what it said."""
    peer.settimeout(0.0)
    try:
        while received := peer.recv(4096):
            pass
    except BlockingIOError:
        return True
    except OSError:
        return False
    return bool(received)


def _resident(pid: int) -> int:
    """Return the resident memory of a process in bytes."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:  # noqa: PTH123 - a file of the kernel's
        found = re.search(r"^VmRSS:\s+(\d+) kB$", status.read(), re.MULTILINE)
    return int(found[1]) << 10 if found else 0


CASES = (IdleConnections, IdleConnectionsAtOnce, SlowPeers, RapidReset, Continuation, HostileRequests)
