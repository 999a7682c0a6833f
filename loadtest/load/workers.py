"""How throughput grows with workers, each of which is asked by a generator of its own.

Generators and workers share the machine. Where they fill it, requests a second say nothing about the workers, but CPU
a request still does: a second worker that costs the others nothing doubles what as many free cores would answer.
"""

import multiprocessing
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from statistics import median

from msgspec import Struct

from loadtest.generator import Connection
from loadtest.load.edges import cpu_of
from loadtest.load.node import Node, node
from loadtest.load.part import Part
from loadtest.report.figures import Workers
from loadtest.servers import CONCURRENCY
from ztag_extauthz.server.service import CHECK

CHUNK = 500


class Run(Struct, frozen=True):
    """One run of a node, or of one generator."""

    rate: float
    failed: int
    cpu: float
    """Seconds of CPU: of the workers, or of the generator."""
    generator: float
    cores: float
    busy: float
    """Cores of the machine that did anything."""


class Asker:
    """A generator in a process of its own."""

    def __init__(self, address: str, messages: Sequence[bytes]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_ask, args=(address, messages, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self.pipe.recv()  # it is connected

    def close(self) -> None:
        self.pipe.close()
        self._process.join(10)
        self._process.kill()


def _ask(address: str, messages: Sequence[bytes], pipe: Pipe) -> None:
    connection = Connection(address, messages, CHECK)
    pipe.send("connected")
    while True:
        try:
            seconds: float = pipe.recv()
        except EOFError:
            return
        answered = failed = 0
        spent, began = time.process_time(), time.monotonic()
        while time.monotonic() - began < seconds:
            result = connection.run(CHUNK, CONCURRENCY)
            answered, failed = answered + result.answered, failed + result.failed
        pipe.send((answered, failed, time.monotonic() - began, time.process_time() - spent))


def workers(part: Part) -> Sequence[Workers]:
    """Ask nodes of one and of two workers in turn, and of four where there are as many cores."""
    counts = [count for count in (1, 2, 4) if count <= max(2, os.cpu_count() or 1)]
    runs: dict[int, list[Run]] = {count: [] for count in counts}
    with ExitStack() as parts:
        asked = {count: _started(part, parts, count) for count in counts}
        for number in part.shown(range(part.rounds + 1), "workers"):
            for count in counts:
                run = _run(*asked[count], part.seconds if number else part.seconds / 4)
                runs[count] += [run] if number else []
    return [_row(count, runs[count], runs[1]) for count in counts]


def _started(part: Part, parts: ExitStack, count: int) -> tuple[Node, Sequence[Asker]]:
    running = parts.enter_context(node(part.load, count))
    askers = [Asker(address, part.load.messages) for address in running.addresses]
    for asker in askers:
        parts.callback(asker.close)
    return running, askers


def _run(running: Node, askers: Sequence[Asker], seconds: float) -> Run:
    pids = running.workers
    before, machine, began = sum(map(cpu_of, pids)), _machine(), time.monotonic()
    for asker in askers:
        asker.pipe.send(seconds)
    answers = [asker.pipe.recv() for asker in askers]
    taken, busy = sum(map(cpu_of, pids)) - before, (_machine() - machine) / (time.monotonic() - began)
    answered, failed = (sum(answer[place] for answer in answers) for place in (0, 1))
    passed = max(answer[2] for answer in answers)
    busiest = max(answer[3] / answer[2] for answer in answers)
    cores = (taken + sum(answer[3] for answer in answers)) / passed
    return Run(answered / passed, failed, taken / (answered + failed), busiest, cores, busy)


def _machine() -> float:
    """Return the seconds of CPU that the machine has spent on anything."""
    spent = [int(each) for each in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(spent) - spent[3] - spent[4]) / os.sysconf("SC_CLK_TCK")


def _row(count: int, runs: Sequence[Run], base: Sequence[Run]) -> Workers:
    rates, pairs = [run.rate for run in runs], list(zip(runs, base, strict=True))
    return Workers(
        count,
        median(rates),
        min(rates),
        max(rates),
        median(mine.rate / its.rate for mine, its in pairs),
        median(run.cpu for run in runs) * 1e6,
        median(count * its.cpu / mine.cpu for mine, its in pairs),
        median(run.generator for run in runs),
        median(run.cores for run in runs),
        median(run.busy for run in runs),
        os.cpu_count() or 1,
        sum(run.failed for run in runs),
    )
