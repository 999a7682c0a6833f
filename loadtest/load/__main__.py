"""ztag beside its peers: direct and through a real Envoy, over seven traces, closed-loop and at constant rates.

    python -m loadtest.load [--rounds 5] [--requests 4000] [--seconds 4] [--out loadtest/report]

Everything runs on this machine, at the same time, and is asked in turn: a round asks each once, ratios are taken within
a round, and their median is what is printed. Peers are there where they can be had: opa-envoy-plugin takes Go (or
`CACHE`, a folder that has it built), the OPA sidecar an `opa` (`OPA=path`, or on the path).
The report is written as Markdown, as one HTML page, and as JSON.
"""

import argparse
import os
import platform
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.progress import track

from loadtest.load import edges
from loadtest.load.traces import Traces
from loadtest.peers import servers as peers
from loadtest.report.figures import Direct, Report, Through, direct_row, through_row
from loadtest.report.page import write
from loadtest.servers import Own, Target
from loadtest.workload import Workload, workload

console = Console() if Console().is_terminal else Console(width=140)
RATES = (500.0, 1000.0, 2000.0)
"""Requests a second of the open-loop runs through Envoy."""


def servers(parts: ExitStack, load: Workload) -> Sequence[Target]:
    """Start everything that answers gRPC; the first one is what others are compared with."""
    own = [
        Own("ztag", "h2corn", load),
        Own("ztag, policy cache off", "h2corn", load, settings=load.uncached),
        Own("ztag on grpcio", "grpcio", load),
        Own("ztag, constant answer", "h2corn", load, "constant"),
    ]
    for target in own:
        parts.callback(target.close)
    return [*peers.targets(parts, load), *own]


def direct(load: Workload, targets: Sequence[Target], rounds: int, requests: int) -> Sequence[Direct]:
    """Ask every server over gRPC, each trace in turn."""
    rows: list[Direct] = []
    for name, make in Traces(load.issuer, requests).all().items():
        for number in track(range(rounds + 1), f"direct: {name}", console=console, transient=True):
            messages = make()
            for target in targets:
                target.exchange(messages)
                target.ask(requests) if number else target.warm(requests)
        rows += [direct_row(name, target, targets[0]) for target in targets]
        for target in targets:
            target.forget()
    return rows


def through_envoy(
    parts: ExitStack, load: Workload, targets: Sequence[Target], rounds: int, seconds: float
) -> Sequence[Through]:
    """Ask through one Envoy thread each: as fast as answers come, then at constant rates."""
    asked = edges.asks(edges.tokens_of(load))
    envoys = [
        edges.start(parts, "Envoy alone", load, "nobody"),
        edges.start(parts, "Envoy's jwt_authn + rbac", load, "envoy"),
    ]
    direct_only = {"ztag, policy cache off", "ztag on grpcio", peers.AS_IT_COMES, peers.SIDECAR}
    deciders = [target for target in targets if target.name not in direct_only]
    envoys += [edges.start(parts, f"Envoy + {one.name}", load, one.address, one.pid) for one in deciders]
    rows: list[Through] = []
    for rate in (0.0, *RATES):
        runs: Mapping[str, list[edges.Figures]] = {envoy.name: [] for envoy in envoys}
        for number in track(range(rounds + 1), f"through Envoy at {rate or 'any':}", console=console, transient=True):
            for envoy in envoys:
                figures = envoy.ask(asked, rate, seconds if number else seconds / 4)
                if number:  # the first one warms up
                    runs[envoy.name].append(figures)
        rows += [through_row(rate, envoy.name, runs[envoy.name], runs[envoys[0].name]) for envoy in envoys]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=4000, help="a round, trace and server")
    parser.add_argument("--seconds", type=float, default=4.0, help="a run through Envoy")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "report")
    given = parser.parse_args()
    with workload() as load, ExitStack() as parts:
        targets = servers(parts, load)
        straight = direct(load, targets, given.rounds, given.requests)
        through = through_envoy(parts, load, targets, given.rounds, given.seconds)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    report = Report(machine, given.rounds, tuple(straight), tuple(through))
    write(report, given.out)
    console.print((given.out / "report.md").read_text(), markup=False)


if __name__ == "__main__":
    main()
