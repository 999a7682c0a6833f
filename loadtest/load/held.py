"""What one worker takes for connections that are open, and whether it still answers on some of them."""

import resource
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from statistics import quantiles
from typing import Final

from loadtest.chaos.peers import _HELLO, _is_open
from loadtest.generator import Connection
from loadtest.load.node import Node, memory, node
from loadtest.load.part import Part
from loadtest.report.figures import Held
from ztag_extauthz.server.service import CHECK

STEPS: Final = (200, 1000, 2500, 5000, 7500, 10_000)
ACTIVE: Final = 200
"""Connections that ask in turn; the others have said hello and nothing more."""


def held(part: Part) -> Sequence[Held]:
    """Open ever more connections to one worker."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    rows: list[Held] = []
    with node(part.load) as running, ExitStack() as parts:
        rows.append(Held(0, memory(running.workers[0]).resident, 0, 0.0, 0.0, 0, 0))
        host, _, port = running.addresses[0].rpartition(":")
        active, idle = list[Connection](), list[socket.socket]()
        for number in range(ACTIVE):
            active.append(Connection(running.addresses[0], part.load.messages[number : number + 1], CHECK))
            parts.callback(active[-1].close)
        for count in part.shown(STEPS, "connections"):
            while len(active) + len(idle) < count:
                idle.append(parts.enter_context(socket.create_connection((host, int(port)), 10)))
                idle[-1].sendall(_HELLO)
            rows.append(_asked(running, active, idle, part.seconds / 2))
    return rows


def _asked(running: Node, active: Sequence[Connection], idle: Sequence[socket.socket], seconds: float) -> Held:
    """Ask on each active connection in turn, and then look at them all."""
    latencies, failed, began = list[float](), 0, time.monotonic()
    while time.monotonic() - began < seconds:
        for connection in active:
            result = connection.run(1, 1)
            latencies += result.latencies
            failed += result.failed
    cuts = quantiles(latencies, n=100)
    closed = sum(not _is_open(one) for one in idle)
    resident = memory(running.workers[0]).resident
    return Held(len(active) + len(idle), resident, len(latencies) - failed, cuts[49], cuts[98], failed, closed)
