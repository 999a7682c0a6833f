"""How long a node takes until it is ready, and how much memory its worker has after some work."""

import time
from collections.abc import Sequence
from statistics import median
from typing import Final, TypeAlias

from loadtest.generator import Connection
from loadtest.load.edges import cpu_of
from loadtest.load.node import Memory, memory, node
from loadtest.load.part import Part
from loadtest.report.figures import GUARDED, ZTAG, Start
from loadtest.servers import CONCURRENCY
from ztag_extauthz.server.service import CHECK

KINDS: Final = {ZTAG: "ztag.yaml", GUARDED: "guarded.yaml"}
Turn: TypeAlias = tuple[float, float, Memory, int]
"""Seconds, seconds of CPU, the worker's memory, the bytes around it."""


def starts(part: Part) -> Sequence[Start]:
    """Start nodes, once more than is counted: the first one may have to compile kernels."""
    turns: dict[str, list[Turn]] = {name: [] for name in KINDS}
    for number in part.shown(range(part.rounds + 1), "starts"):
        for name, like in KINDS.items():
            turn = _turn(part, like)
            turns[name] += [turn] if number else []
    return [_row(name, found) for name, found in turns.items()]


def _turn(part: Part, like: str) -> Turn:
    began = time.monotonic()
    with node(part.load, like=like) as running:
        ready = time.monotonic() - began
        spent = sum(map(cpu_of, [*running.around, *running.workers]))
        connection = Connection(running.addresses[0], part.load.messages, CHECK)
        connection.run(part.requests, CONCURRENCY)
        connection.close()
        around = sum(memory(pid).own for pid in running.around)
        return ready, spent, memory(running.workers[0]), around


def _row(name: str, turns: Sequence[Turn]) -> Start:
    seconds, spent, workers, around = zip(*turns, strict=True)
    own, resident, tables = (
        int(median(getattr(worker, kind) for worker in workers)) for kind in ("own", "resident", "tables")
    )
    return Start(name, median(seconds), max(seconds), median(spent), own, resident, tables, int(median(around)))
