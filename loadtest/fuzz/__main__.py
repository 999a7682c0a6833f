"""Hostile inputs for everything that reads what others wrote.

    python -m loadtest.fuzz [--seconds 10] [--inputs 1000000000] [--jobs 2] [--only NAME …] [--seed N]

Each target has a process of its own, and its share of time; it begins with the seeds of earlier findings. An input is
a finding if it raises anything but the documented errors, ends the process, takes more than two seconds of CPU, or
gets an answer that a second, independent judgement of the same bytes forbids. Findings stay in `seeds/`.
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.sharedctypes import RawArray
from typing import Any

from rich.console import Console
from rich.table import Table

from loadtest.fuzz.mutator import LARGEST
from loadtest.fuzz.runner import Plan, Report, keep, read, targets, work


def fuzz(build: Any, plan: Plan) -> Report:
    """Fuzz one target in a process; one that dies or hangs is a finding."""
    context = multiprocessing.get_context("spawn")
    current = RawArray("B", LARGEST + 4)
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(build, plan, current, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        if ours.poll(plan.seconds + 120):
            return ours.recv()  # type: ignore[no-any-return]
        what = "hangs where no signal reaches it"
    except EOFError:
        process.join(10)
        what = f"ended the process with {process.exitcode}"
    finally:
        process.kill()
        process.join()
    return Report(findings={keep(build.__name__, read(current)): what})


def show(reports: Mapping[str, Report], seconds: float) -> None:
    """Print a row for each target, and its findings."""
    table = Table("target", "inputs", "inputs/s", "slowest, ms of CPU", "findings", title="Fuzzing")
    for name, report in reports.items():
        rate = report.inputs / report.seconds if report.seconds else 0.0
        table.add_row(
            name, f"{report.inputs:,}", f"{rate:,.0f}", f"{report.slowest * 1e3:.1f}", str(len(report.findings))
        )
    total = sum(report.inputs for report in reports.values())
    table.add_row(
        "all", f"{total:,}", f"{total / seconds:,.0f}", "", str(sum(len(one.findings) for one in reports.values()))
    )
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    for name, report in reports.items():
        for seed, what in report.findings.items():
            print(f"seeds/{name}/{seed}: {what}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each target")
    parser.add_argument("--inputs", type=int, default=10**9, help="at most, for each target")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--seed", type=int, default=time.time_ns() & 0xFFFFFFFF)
    given = parser.parse_args()
    plan = Plan(given.seed, given.inputs, given.seconds)
    chosen: Sequence[Any] = [build for build in targets() if not given.only or build.__name__ in given.only]
    began = time.monotonic()
    with ThreadPoolExecutor(given.jobs) as pool:
        found = pool.map(lambda build: fuzz(build, plan), chosen)
        reports = dict(zip([build.__name__ for build in chosen], found, strict=True))
    print(f"seed {plan.seed}, {given.jobs} processes at a time")
    show(reports, time.monotonic() - began)
    sys.exit(any(report.findings for report in reports.values()))


if __name__ == "__main__":
    main()
