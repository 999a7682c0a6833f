"""The same load for a long time: memory, file descriptors and latency have to stay where they are.

    python -m loadtest.soak [--minutes 3] [--rate 300] [--intervals 12]

One Envoy, two workers, reloads between the intervals, and in every interval some users with new tokens, so that what is
remembered has to make room. It ends with 1 where the second half takes more than the first: 10 % more memory and a few
MB, any file descriptor but those of connections that come and go, or more than three times the latency.
"""

import argparse
import re
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Final

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from loadtest.chaos.case import children, workers_of
from loadtest.edge import answer_itself, asks
from loadtest.load.open_loop import Load
from ztag_extauthz.demo.stack import Plan, Stack, running
from ztag_extauthz.wire.envoy import Wishes

WARM: Final = 2
"""Intervals in which memory may still grow: caches fill."""


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
    memory = median(each.resident for each in late) <= median(each.resident for each in early) * 1.1 + (4 << 20)
    descriptors = median(each.descriptors for each in late) <= median(each.descriptors for each in early) + 8
    latency = median(each.p50 for each in late) <= 3 * median(each.p50 for each in early)
    return memory and descriptors and latency and not any(each.failed or each.wrong for each in intervals)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--rate", type=float, default=300.0, help="requests a second")
    parser.add_argument("--intervals", type=int, default=12)
    given = parser.parse_args()
    plan = Plan(settings={"server": {"workers": 2}}, wishes=Wishes(timeout=1.0), change_envoy=answer_itself)
    intervals = []
    with running(plan) as stack:
        for _ in range(given.intervals):
            intervals.append(one(stack, given.minutes * 60 / given.intervals, given.rate))
            stack.ztag.signal(signal.SIGHUP)
    _show(intervals, given.minutes, given.rate)
    sys.exit(not is_flat(intervals))


def _show(intervals: Sequence[Interval], minutes: float, rate: float) -> None:
    heads = ("interval", "requests", "failed", "wrong", "p50 ms", "p99 ms", "memory MB", "descriptors")
    table = Table(*heads, title=f"{minutes:g} minutes at {rate:.0f} requests a second, a reload after each interval")
    for number, each in enumerate(intervals, 1):
        times = (f"{each.p50 * 1e3:.1f}", f"{each.p99 * 1e3:.1f}")
        counts = (f"{each.requests:,}", str(each.failed), str(each.wrong))
        table.add_row(str(number), *counts, *times, f"{each.resident / 1e6:.0f}", str(each.descriptors))
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    print("flat" if is_flat(intervals) else "NOT flat")


def _resident(pid: int) -> int:
    found = re.search(r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) << 10 if found else 0


if __name__ == "__main__":
    main()
