"""Servers in processes of their own, asked in turn over loopback, and where their CPU goes.

A server answers a constant, a constant after some of the stages, or what the whole way of a Check answers. CPU is the
kernel's own count, by thread: Python's event loop, the engine's, and the rest, which is the writer of the audit log.
"""

import asyncio
import gc
import multiprocessing
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection as Pipe
from multiprocessing.sharedctypes import RawArray, RawValue
from pathlib import Path
from statistics import median
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct
from rich.console import Console
from rich.progress import track
from rich.table import Table

from loadtest.generator import Connection, Result
from loadtest.stages import FOREVER
from loadtest.workload import Workload
from ztag_extauthz.component import Resources
from ztag_extauthz.envoy import decode
from ztag_extauthz.meter import CELLS, Meter
from ztag_extauthz.server import worker
from ztag_extauthz.server.core import Core
from ztag_extauthz.server.engine import Engine, Place
from ztag_extauthz.server.health import Health
from ztag_extauthz.server.service import CHECK, Checker, Service
from ztag_extauthz.server.sockets import bind
from ztag_extauthz.settings import Settings
from ztag_extauthz.wiring import build

CONCURRENCY: Final = 64
Depth: TypeAlias = Literal["constant", "decode", "decide", "encode", "full"]
"""How far a server goes before it answers."""


class Constant:
    """Answers every request alike, after some of the stages: what the engine alone costs, and what each stage adds."""

    def __init__(self, core: Core, answer: bytes, depth: Depth) -> None:
        self._core = core
        self._answer = answer
        self._depth = depth

    async def check(self, message: bytes, deadline: float) -> bytes:
        if self._depth != "constant":
            request = decode(message)
            if self._depth != "decode":
                decision = await self._core._pipeline.decide(request, deadline)
                if self._depth == "encode":
                    self._core.settle(request, decision, deadline)
        return self._answer

    def ended(self, message: bytes) -> None:
        """Nothing is asked about how requests ended."""


class Served(Struct, frozen=True):
    """What a server process is told."""

    settings: Settings
    folder: Path
    first: bytes
    depth: Depth
    collecting: Any
    """Shared memory for the seconds that the garbage collector took."""


def serve(served: Served, pipe: Pipe) -> None:
    """Serve in a process of its own; tells its address, and ends when the pipe does."""
    gc.callbacks.append(_stopwatch(served.collecting))
    asyncio.run(_serve(served, pipe))


def _stopwatch(seconds: Any) -> Callable[[str, dict[str, int]], None]:
    def note(phase: str, _: dict[str, int]) -> None:
        seconds.value += time.thread_time() if phase == "stop" else -time.thread_time()

    return note


async def _serve(served: Served, pipe: Pipe) -> None:
    gateway = build(served.settings, Resources(served.folder, time.time, Meter()))
    await gateway.start()
    answer = await gateway.core.check(served.first, FOREVER)
    full = served.depth == "full"
    server = _engine(served, gateway.core if full else Constant(gateway.core, answer, served.depth))
    await server.start()
    worker._settle()
    pipe.send(server.place.address)
    await asyncio.to_thread(pipe.poll, None)
    await server.stop()
    await gateway.close()


def _engine(served: Served, checker: Checker) -> Engine:
    bound = bind("127.0.0.1:0", handed_over=served.settings.server.engine == "h2corn")
    place = Place(bound.address, bound.socket, None)
    assignment = worker.Assignment(place, served.settings, served.folder, RawArray("d", CELLS))
    return worker.engine(Service(checker, Health()), assignment)


class Cpu(Struct, frozen=True):
    """µs a request."""

    loop: float
    engine: float
    audit: float
    collector: float
    """Part of `loop`."""

    @property
    def whole(self) -> float:
        return self.loop + self.engine + self.audit


class Target:
    """A server process and the connection that asks it."""

    def __init__(self, name: str, address: str, pid: int, messages: Sequence[bytes]) -> None:
        self.name = name
        self.address = address
        self.pid = pid
        self._connection = Connection(address, messages, CHECK)
        self.results: list[Result] = []
        self.cpu: list[Cpu] = []

    def ask(self, requests: int) -> Result:
        before = self._spent()
        result = self._connection.run(requests, CONCURRENCY)
        spent = zip(self._spent(), before, strict=True)
        self.cpu.append(Cpu(*((now - earlier) / requests * 1e6 for now, earlier in spent)))
        self.results.append(result)
        return result

    def warm(self, requests: int) -> None:
        """Ask without counting."""
        self.ask(requests)
        self.forget()

    def exchange(self, messages: Sequence[bytes]) -> None:
        """Ask something else from now on."""
        self._connection.exchange(messages, CHECK)

    def renew(self, messages: Sequence[bytes]) -> None:
        """Ask something else on a new connection: a server may have ended one that was idle for long."""
        self._connection.close()
        self._connection = Connection(self.address, messages, CHECK)

    def forget(self) -> None:
        """Begin to count anew."""
        self.results.clear()
        self.cpu.clear()

    def close(self) -> None:
        self._connection.close()

    def collected(self) -> float:
        """Return the seconds that the garbage collector has taken so far."""
        return 0.0

    def _spent(self) -> tuple[float, ...]:
        """Return seconds of CPU so far, in the order of `Cpu`."""
        loop = engine = audit = 0.0
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            try:
                seconds = int((task / "schedstat").read_text().split()[0]) * 1e-9
                name = (task / "comm").read_text()
            except FileNotFoundError:  # it has ended
                continue
            if int(task.name) == self.pid:
                loop += seconds
            elif name.startswith("python"):
                audit += seconds
            else:
                engine += seconds
        return loop, engine, audit, self.collected()


class Own(Target):
    """One of our servers."""

    def __init__(
        self, name: str, engine: str, load: Workload, depth: Depth = "full", settings: Settings | None = None
    ) -> None:
        given = settings or load.settings
        server = given.server.model_copy(update={"engine": engine})
        context = multiprocessing.get_context("spawn")
        self._collecting = RawValue("d")
        given = given.model_copy(update={"server": server})
        served = Served(given, load.folder, load.messages[0], depth, self._collecting)
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(served, theirs), daemon=True)
        self._process.start()
        theirs.close()
        super().__init__(name, self._pipe.recv(), self._process.pid or 0, load.messages)

    def collected(self) -> float:
        return float(self._collecting.value)

    def close(self) -> None:
        super().close()
        self._pipe.close()
        self._process.join(timeout=10)
        self._process.kill()


def ask_in_turn(console: Console, targets: Sequence[Target], rounds: int, requests: int) -> None:
    """Ask each once a round, so that a noisy moment meets all of them."""
    for target in targets:
        target.warm(requests // 4)
    for _ in track(range(rounds), "asking in turn", console=console, transient=True):
        for target in targets:
            target.ask(requests)


def show(console: Console, targets: Sequence[Target]) -> None:
    """Print one row a target; ratios are to the first."""
    base = targets[0]
    title = f"On loopback, one connection, {CONCURRENCY} requests at a time; CPU in µs a request"
    heads = (
        "server",
        "requests/s",
        "min to max",
        f"of {base.name}",
        "CPU",
        "loop + engine + audit",
        "p50 µs",
        "p99 µs",
    )
    table = Table(*heads, "failed", title=title)
    for target in targets:
        rates = [result.rate for result in target.results]
        ratios = [mine.rate / its.rate for mine, its in zip(target.results, base.results, strict=True)]
        loop, engine, audit = (median(getattr(cpu, part) for cpu in target.cpu) for part in ("loop", "engine", "audit"))
        table.add_row(
            target.name,
            f"{median(rates):,.0f}",
            f"{min(rates):,.0f} to {max(rates):,.0f}",
            f"{median(ratios):.2f}",
            f"{median(cpu.whole for cpu in target.cpu):.0f}",
            f"{loop:.1f} + {engine:.1f} + {audit:.1f}",
            *(f"{median(result.percentile(percent) for result in target.results) * 1e6:,.0f}" for percent in (50, 99)),
            str(sum(result.failed for result in target.results)),
        )
    console.print(table)
    collector = max(targets, key=lambda target: median(cpu.collector for cpu in target.cpu))
    share = median(cpu.collector for cpu in collector.cpu)
    console.print(f"The garbage collector takes {share:.2f} µs a request at most ({collector.name}).")
