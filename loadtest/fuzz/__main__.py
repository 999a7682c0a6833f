"""Hostile inputs for everything that reads what others wrote.

    python -m loadtest.fuzz [--seconds 10] [--inputs 1000000000] [--jobs 2] [--only NAME …] [--seed N] [--out FILE]

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
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from loadtest.fuzz.mutator import LARGEST
from loadtest.fuzz.runner import Plan, Report, keep, read, targets, work

_COLUMNS: Final = ("target", "inputs", "inputs/s", "slowest, ms of CPU", "findings")


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


def rows(reports: Mapping[str, Report], seconds: float) -> Sequence[Sequence[str]]:
    """Return a row for each target, and one for all of them."""
    made = [
        (name, f"{one.inputs:,}", _rate(one.inputs, one.seconds), f"{one.slowest * 1e3:.1f}", str(len(one.findings)))
        for name, one in reports.items()
    ]
    total, found = sum(one.inputs for one in reports.values()), sum(len(one.findings) for one in reports.values())
    return [*made, ("all", f"{total:,}", _rate(total, seconds), "", str(found))]


def _rate(inputs: int, seconds: float) -> str:
    return f"{inputs / seconds if seconds else 0:,.0f}"


def findings(reports: Mapping[str, Report]) -> Sequence[str]:
    """Return a line for each finding."""
    return [f"seeds/{name}/{seed}: {what}" for name, one in reports.items() for seed, what in one.findings.items()]


def page(made: Sequence[Sequence[str]], lines: Sequence[str], remark: str) -> str:
    """Return the report in Markdown."""
    table = "\n".join(f"| {' | '.join(row)} |" for row in (_COLUMNS, ["---"] * len(_COLUMNS), *made))
    found = "\n".join(f"- `{line}`" for line in lines) or "Nothing was found."
    intro = "What `make fuzz` printed; what earlier runs found is in [docs/security.md](../../docs/security.md)."
    return f"# Fuzzing\n\n{intro}\nHere {remark}.\n\n{table}\n\n{found}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each target")
    parser.add_argument("--inputs", type=int, default=10**9, help="at most, for each target")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--seed", type=int, default=time.time_ns() & 0xFFFFFFFF)
    parser.add_argument("--out", type=Path, help="a Markdown file for the summary")
    given = parser.parse_args()
    plan = Plan(given.seed, given.inputs, given.seconds)
    chosen: Sequence[Any] = [build for build in targets() if not given.only or build.__name__ in given.only]
    began = time.monotonic()
    with ThreadPoolExecutor(given.jobs) as pool:
        found = pool.map(lambda build: fuzz(build, plan), chosen)
        reports = dict(zip([build.__name__ for build in chosen], found, strict=True))
    made, lines = rows(reports, time.monotonic() - began), findings(reports)
    remark = f"seed {plan.seed}, {plan.seconds:.0f} s a target, {given.jobs} processes at a time"
    table = Table(*_COLUMNS, title="Fuzzing", caption=remark)
    for row in made:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    print(*lines, sep="\n")
    if given.out:
        given.out.write_text(page(made, lines, remark))
    sys.exit(bool(lines))


if __name__ == "__main__":
    main()
