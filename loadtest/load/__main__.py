"""ztag beside its peers: direct and through a real Envoy, over eight traces, closed-loop and at constant rates.

    python -m loadtest.load [--only NAME …] [--rounds 3] [--requests 3000] [--seconds 2] [--out loadtest/report]

Everything runs on this machine, at the same time, and is asked in turn: a round asks each once, ratios are taken within
a round, and their median is what is printed. Peers are there where they can be had: opa-envoy-plugin takes Go (or
`CACHE`, a folder that has it built), the OPA sidecar an `opa` (`OPA=path`, or on the path).
The report is written as Markdown, as one HTML page, and as JSON, in which parts that are not measured now stay.
"""

import argparse
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec import Struct, structs
from rich.table import Table

from loadtest.load.costs import costs
from loadtest.load.direct import direct
from loadtest.load.held import held
from loadtest.load.hits import hits
from loadtest.load.paced import half, paced
from loadtest.load.part import CONSOLE, Part
from loadtest.load.risks import risks
from loadtest.load.starts import starts
from loadtest.load.through import through
from loadtest.load.workers import workers
from loadtest.report.figures import Report, Taken
from loadtest.report.goals import figures
from loadtest.report.page import read, write
from loadtest.workload import workload

PARTS: Final[Mapping[str, Callable[[Part], Sequence[Struct]]]] = {
    "risk": risks,
    "start": starts,
    "held": held,
    "workers": workers,
    "hits": hits,
    "stages": costs,
    "half": half,
    "paced": paced,
    "direct": direct,
    "through": through,
}
"""By the report's field, in the order of running: those first that need no other servers beside them."""


def measured(report: Report, name: str, part: Part) -> Report:
    """Return the report with one part measured anew."""
    rows = tuple(PARTS[name](part))
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    taken = Taken(datetime.now(UTC).date().isoformat(), part.rounds, machine)
    return structs.replace(report, **{name: rows, "taken": {**report.taken, name: taken}})


def show(report: Report) -> None:
    """Print the goals; the rest is in the report."""
    table = Table("figure", "goal", "measured", "verdict", title="Medians; how, and everything else, is in report.html")
    for each in figures(report):
        table.add_row(each.what, each.goal, each.found, each.verdict)
    CONSOLE.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="NAME", help=f"parts: {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=3000, help="a round, trace and server")
    parser.add_argument("--seconds", type=float, default=2.0, help="a run at a rate")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "report")
    given = parser.parse_args()
    report, lost = read(given.out), list[str]()
    with workload() as load, ExitStack() as stack:
        part = Part(load, stack, given.rounds, given.requests, given.seconds)
        for name in [name for name in PARTS if name in (given.only or PARTS)]:
            try:
                report = measured(report, name, part)
            except Exception:  # noqa: BLE001 - the other parts are still to be measured
                CONSOLE.print_exception()
                lost.append(name)
            write(report, given.out)
    show(report)
    sys.exit(f"not measured, and left as they were: {', '.join(lost)}" if lost else 0)


if __name__ == "__main__":
    main()
