"""What a decision costs: each stage in µs, and the whole against a constant answer on the same engine.

    python -m loadtest.bench [--rounds 5] [--requests 20000]

1. Stages run in this process, one after the other, on the settings and policy of `policy/`: medians of several loops.
2. The engines run as servers on loopback, all at the same time, and are asked in turn: a round asks each once, the
   ratios are taken within a round, and their median is printed. CPU is the server process's own, from the kernel.
"""

import argparse
import asyncio
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection as Pipe
from multiprocessing.sharedctypes import RawArray
from pathlib import Path
from statistics import median
from typing import Any

from msgspec import Struct
from rich.console import Console
from rich.progress import track
from rich.table import Table

from loadtest.corpus import AUDIENCE, ISSUER, Issuer, check_request
from loadtest.generator import Connection, Result
from ztag_extauthz.authentication.jwt import Jwt
from ztag_extauthz.authentication.token_memory import TokenMemory
from ztag_extauthz.component import Resources
from ztag_extauthz.envoy import decode
from ztag_extauthz.meter import CELLS, Meter
from ztag_extauthz.model import Allow, Context, Identity
from ztag_extauthz.server import worker
from ztag_extauthz.server.engine import Engine, Place
from ztag_extauthz.server.health import Health
from ztag_extauthz.server.service import CHECK, Checker, Service
from ztag_extauthz.server.sockets import bind
from ztag_extauthz.settings import Settings, load
from ztag_extauthz.wiring import Gateway, build

ROOT = Path(__file__).parent.parent
USERS, PATHS, CONCURRENCY = 100, 10, 64
FOREVER = time.monotonic() + 1e6
console = Console() if Console().is_terminal else Console(width=120)


class Workload(Struct, frozen=True):
    """Settings and the requests that they are asked about, the same tokens again and again."""

    settings: Settings
    folder: Path
    messages: tuple[bytes, ...]


@contextmanager
def workload() -> Iterator[Workload]:
    """Write keys and settings into a folder that goes away afterwards."""
    with tempfile.TemporaryDirectory() as name:
        folder, issuer = Path(name), Issuer()
        issuer.write_keys(folder / "jwks.json")
        file = folder / "ztag.yaml"
        file.write_text(
            f"authentication:\n"
            f"  - {{kind: jwt, issuer: {ISSUER}, audiences: [{AUDIENCE}], algorithms: [RS256], "
            f"jwks: {{file: jwks.json}}}}\n"
            f"authorization:\n"
            f"  - {{kind: rego, policies: [{ROOT / 'policy/envoy'}]}}\n"
            f"reporting:\n"
            f"  - {{kind: audit, to: audit.log}}\n"
        )
        tokens = [issuer.token(f"user-{number}", ("editor",)) for number in range(USERS)]
        messages = tuple(check_request(token, f"/orders/{path}") for token in tokens for path in range(PATHS))
        yield Workload(load(file, {}), folder, messages)


class Constant:
    """Answers every request alike: what the engine alone costs."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    async def check(self, message: bytes, deadline: float) -> bytes:  # noqa: ARG002
        return self._answer

    def ended(self, message: bytes) -> None:
        """Nothing is asked about how requests ended."""


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that never waits, without an event loop's share."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise RuntimeError("the stage waited")


def microseconds(work: Callable[[], object], loops: int = 2000, repeats: int = 9) -> float:
    """Return the median cost of one call in µs."""
    costs = []
    for _ in range(repeats):
        began = time.perf_counter()
        for _ in range(loops):
            work()
        costs.append((time.perf_counter() - began) / loops * 1e6)
    return median(costs)


def stage_costs(load: Workload) -> list[tuple[str, float]]:
    """Return what each stage costs for one request of the workload."""
    gateway = build(load.settings, Resources(load.folder, time.time, Meter()))
    return asyncio.run(_with(gateway, lambda: _stages(gateway, load.messages[0])))


async def _with(gateway: Gateway, work: Callable[[], Any]) -> Any:
    await gateway.start()
    try:
        return work()
    finally:
        await gateway.close()


def _stages(gateway: Gateway, message: bytes) -> list[tuple[str, float]]:
    pipeline, core = gateway.pipeline, gateway.core
    (gate,), (jwt, *_), (rego, *_) = pipeline._gates, pipeline._authenticators, pipeline.authorizers
    request = decode(message)
    if not isinstance(jwt, Jwt):
        raise TypeError("the workload's first authenticator must be jwt")
    identity: Identity = run(jwt.authenticate(request, FOREVER))
    context = Context(request, identity)
    verdict = run(rego.authorize(context, FOREVER))
    if not isinstance(verdict, Allow):
        raise TypeError(f"the workload's requests must be allowed, not {verdict}")
    decision = run(pipeline.decide(request, FOREVER))

    def forget() -> None:
        jwt.memory = TokenMemory(max_entries=2)
        run(jwt.authenticate(request, FOREVER))

    return [
        ("decode the CheckRequest", microseconds(lambda: decode(message))),
        ("admission", microseconds(lambda: run(gate.admit(request, FOREVER)))),
        ("authentication, token remembered", microseconds(lambda: run(jwt.authenticate(request, FOREVER)))),
        ("authentication, token verified (RS256)", microseconds(forget, loops=500)),
        ("authorization: input, Rego, result", microseconds(lambda: run(rego.authorize(context, FOREVER)), loops=500)),
        ("reporting: metrics and an audit line", microseconds(lambda: pipeline.report(request, decision))),
        ("encode the CheckResponse", microseconds(lambda: core._encoder.encode(request, decision))),
        ("the whole, bytes to bytes", microseconds(lambda: run(core.check(message, FOREVER)), loops=500)),
    ]


def serve(engine: str, load: Workload, *, constant: bool, pipe: Pipe) -> None:
    """Serve one engine in a process of its own; tells its address, and ends when the pipe does."""
    asyncio.run(_serve(engine, load, constant=constant, pipe=pipe))


async def _serve(engine: str, load: Workload, *, constant: bool, pipe: Pipe) -> None:
    server_settings = load.settings.server.model_copy(update={"engine": engine})
    settings = load.settings.model_copy(update={"server": server_settings})
    gateway = build(load.settings, Resources(load.folder, time.time, Meter()))
    await gateway.start()
    answer = await gateway.core.check(load.messages[0], FOREVER)
    checker: Checker = Constant(answer) if constant else gateway.core
    server = _engine(settings, load.folder, checker)
    await server.start()
    worker._settle()
    pipe.send(server.place.address)
    await asyncio.to_thread(pipe.poll, None)
    await server.stop()
    await gateway.close()


def _engine(settings: Settings, folder: Path, checker: Checker) -> Engine:
    bound = bind("127.0.0.1:0", handed_over=settings.server.engine == "h2corn")
    place = Place(bound.address, bound.socket, None)
    return worker.engine(Service(checker, Health()), worker.Assignment(place, settings, folder, RawArray("d", CELLS)))


class Target:
    """A server process and the connection that asks it."""

    def __init__(self, name: str, address: str, pid: int, messages: Sequence[bytes]) -> None:
        self.name = name
        self._pid = pid
        self._connection = Connection(address, messages, CHECK)
        self.results: list[Result] = []
        self.cpu: list[float] = []

    def ask(self, requests: int) -> Result:
        before = self._cpu_seconds()
        result = self._connection.run(requests, CONCURRENCY)
        self.cpu.append((self._cpu_seconds() - before) / requests * 1e6)
        self.results.append(result)
        return result

    def warm(self, requests: int) -> None:
        """Ask without counting."""
        self.ask(requests)
        self.results.clear()
        self.cpu.clear()

    def close(self) -> None:
        self._connection.close()

    def _cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Own(Target):
    """One of our engines."""

    def __init__(self, name: str, engine: str, load: Workload, *, constant: bool = False) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        arguments = {"engine": engine, "load": load, "constant": constant, "pipe": theirs}
        self._process = context.Process(target=serve, kwargs=arguments, daemon=True)
        self._process.start()
        theirs.close()
        super().__init__(name, self._pipe.recv(), self._process.pid or 0, load.messages)

    def close(self) -> None:
        super().close()
        self._pipe.close()
        self._process.join(timeout=10)
        self._process.kill()


def compare(load: Workload, rounds: int, requests: int) -> Sequence[Target]:
    """Ask every engine, constant and full, in turn."""
    with ExitStack() as stack:
        targets = []
        for engine in ("h2corn", "grpcio"):
            for constant in (True, False):
                target = Own(f"{engine}, {'constant' if constant else 'full'}", engine, load, constant=constant)
                stack.callback(target.close)
                targets.append(target)
        ask_in_turn(targets, rounds, requests)
        return targets


def ask_in_turn(targets: Sequence[Target], rounds: int, requests: int) -> None:
    """Ask each once a round, so that a noisy moment meets all of them."""
    for target in targets:
        target.warm(requests // 4)
    for _ in track(range(rounds), "asking in turn", console=console, transient=True):
        for target in targets:
            target.ask(requests)


def show_stages(costs: Sequence[tuple[str, float]]) -> None:
    table = Table("stage", "µs", "", title="One warm request, stage by stage")
    longest = max(cost for _, cost in costs)
    for name, cost in costs:
        table.add_row(name, f"{cost:.1f}", "█" * max(1, round(40 * cost / longest)))
    console.print(table)


def show(targets: Sequence[Target]) -> None:
    """Print one row a target; ratios are to the first."""
    base = targets[0]
    table = Table(
        "server",
        "requests/s",
        "min to max",
        f"of {base.name}",
        "CPU µs a request",
        "p50 µs",
        "p99 µs",
        "failed",
        title=f"On loopback, one connection, {CONCURRENCY} requests at a time",
    )
    for target in targets:
        rates = [result.rate for result in target.results]
        ratios = [mine.rate / its.rate for mine, its in zip(target.results, base.results, strict=True)]
        table.add_row(
            target.name,
            f"{median(rates):,.0f}",
            f"{min(rates):,.0f} to {max(rates):,.0f}",
            f"{median(ratios):.2f}",
            f"{median(target.cpu):.0f}",
            *(f"{median(result.percentile(percent) for result in target.results) * 1e6:,.0f}" for percent in (50, 99)),
            str(sum(result.failed for result in target.results)),
        )
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=20_000, help="requests a round and server")
    arguments = parser.parse_args()
    with workload() as load:
        show_stages(stage_costs(load))
        show(compare(load, arguments.rounds, arguments.requests))


if __name__ == "__main__":
    main()
