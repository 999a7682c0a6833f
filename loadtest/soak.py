"""The same load for a long time: memory, file descriptors and latency have to stay where they are.

    python -m loadtest.soak [--minutes 3] [--rate 300] [--intervals N] [--out loadtest/report/soak.md]

One Envoy, two workers, reloads between the intervals (one a minute, and twelve at least), and in every interval some
users with new tokens, so that what is remembered has to make room. It ends with 1 where the second half takes more than
the first: 5 % more memory and a few MB, any file descriptor but those of connections that come and go, or more than
three times the latency. The first intervals, while caches fill, count in neither half nor in the slopes.
"""

import argparse
import os
import platform
import re
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import linear_regression, median, quantiles
from typing import Final

from msgspec import Struct
from rich.console import Console
from rich.progress import track
from rich.table import Table

from loadtest.chaos.case import children, workers_of
from loadtest.edge import answer_itself, asks
from loadtest.load.open_loop import Load
from ztag_extauthz.demo.stack import Plan, Stack, running
from ztag_extauthz.wire.envoy import Wishes

console = Console(width=None if sys.stdout.isatty() else 120)
WARM: Final = 2
"""Intervals in which memory may still grow: caches fill."""
LEAST: Final = 12
"""Intervals, however short the run."""
HEADS: Final = ("until minute", "requests", "failed", "wrong", "p50 ms", "p99 ms", "memory MB", "descriptors")
PAGE: Final = """# The same load for long

What `make soak` printed: {title}; one Envoy, two workers, new tokens in each interval ({cores} cores for all of it,
Python {python}). Memory and descriptors are those of all of ztag's processes together.

{table}
{verdict}
"""


class Interval(Struct, frozen=True):
    """What one part of the run came to."""

    requests: int
    failed: int
    wrong: int
    p50: float
    p99: float
    resident: int
    """Bytes of ztag's processes together."""
    descriptors: int
    """File descriptors of theirs."""


def one(stack: Stack, seconds: float, rate: float) -> Interval:
    """Run one interval."""
    load = Load(stack.edge, asks(stack.issuer), rate)
    time.sleep(seconds)
    shots, _ = load.stop()
    cuts = quantiles([shot.latency for shot in shots], n=100)
    processes = [*children(stack.ztag.pid), *workers_of(stack), stack.ztag.pid]
    return Interval(
        len(shots),
        sum(shot.status == 0 or shot.status >= 500 for shot in shots),
        sum(shot.wrong for shot in shots),
        cuts[49],
        cuts[98],
        sum(map(_resident, processes)),
        sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in processes),
    )


def is_flat(intervals: Sequence[Interval]) -> bool:
    """Tell whether nothing grew after the first intervals, and everything was answered rightly."""
    steady = intervals[WARM:]
    early, late = steady[: len(steady) // 2], steady[len(steady) // 2 :]
    memory = median(each.resident for each in late) <= median(each.resident for each in early) * 1.05 + (4 << 20)
    descriptors = median(each.descriptors for each in late) <= median(each.descriptors for each in early) + 8
    latency = median(each.p50 for each in late) <= 3 * median(each.p50 for each in early)
    return memory and descriptors and latency and not any(each.failed or each.wrong for each in intervals)


def slopes(intervals: Sequence[Interval], minutes: float) -> Mapping[str, float]:
    """Return how much everything grows an hour after the first intervals, by least squares; `minutes` of all."""
    steady = intervals[WARM:]
    hours = [minutes / 60 / len(intervals) * number for number in range(len(steady))]
    values = {
        "MB": [each.resident / 1e6 for each in steady],
        "descriptors": [float(each.descriptors) for each in steady],
        "ms of p50": [each.p50 * 1e3 for each in steady],
    }
    return {name: linear_regression(hours, found).slope for name, found in values.items()}


def verdict(intervals: Sequence[Interval], minutes: float) -> str:
    """Say whether it is flat, and by how much it is not."""
    growth = ", ".join(f"{slope:+.1f} {name}" for name, slope in slopes(intervals, minutes).items())
    asked, lost = sum(each.requests for each in intervals), sum(each.failed + each.wrong for each in intervals)
    said = "flat" if is_flat(intervals) else "NOT flat"
    return f"{said}: {growth} an hour; of {asked:,} requests {lost} failed or were answered wrongly"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--rate", type=float, default=300.0, help="requests a second")
    parser.add_argument("--intervals", type=int, help="parts of the run; one a minute, and twelve at least")
    parser.add_argument("--out", type=Path, help="write the page of the report there, too")
    given = parser.parse_args()
    parts = given.intervals or max(LEAST, round(given.minutes))
    plan = Plan(settings={"server": {"workers": 2}}, wishes=Wishes(timeout=1.0), change_envoy=answer_itself)
    intervals = []
    with running(plan) as stack:
        for _ in track(range(parts), "soaking", console=console, transient=True):
            intervals.append(one(stack, given.minutes * 60 / parts, given.rate))
            stack.ztag.signal(signal.SIGHUP)
    title = f"{given.minutes:g} minutes at {given.rate:.0f} requests a second, a reload after each interval"
    _show(intervals, given.minutes, title)
    if given.out:
        given.out.write_text(page(intervals, given.minutes, title))
    sys.exit(not is_flat(intervals))


def rows(intervals: Sequence[Interval], minutes: float) -> Sequence[Sequence[str]]:
    """Return the cells of the table."""
    return [
        (
            f"{minutes / len(intervals) * number:.3g}",
            f"{each.requests:,}",
            str(each.failed),
            str(each.wrong),
            f"{each.p50 * 1e3:.1f}",
            f"{each.p99 * 1e3:.1f}",
            f"{each.resident / 1e6:.0f}",
            str(each.descriptors),
        )
        for number, each in enumerate(intervals, 1)
    ]


def page(intervals: Sequence[Interval], minutes: float, title: str) -> str:
    """Return the page of the report."""
    lines = [HEADS, ["---"] * len(HEADS), *rows(intervals, minutes)]
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    said = verdict(intervals, minutes)
    return PAGE.format(title=title, cores=os.cpu_count(), python=platform.python_version(), table=table, verdict=said)


def _show(intervals: Sequence[Interval], minutes: float, title: str) -> None:
    table = Table(*HEADS, title=title)
    for row in rows(intervals, minutes):
        table.add_row(*row)
    console.print(table)
    console.print(verdict(intervals, minutes), markup=False)


def _resident(pid: int) -> int:
    found = re.search(r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) << 10 if found else 0


if __name__ == "__main__":
    main()
