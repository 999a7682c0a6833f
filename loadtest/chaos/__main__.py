"""Failures under load, each with what must hold; prints a table, and ends with 1 where something does not.

    python -m loadtest.chaos [--only NAME …] [--rate 300] [--out loadtest/report/chaos.md]

Seven of ten requests are allowed, three refused (by policy, for a forged token, for none); each answer is compared with
the only right one, and what the upstream would be told with the token's subject. A failed request is one that got an
error or nothing: Envoy is fail-closed here. The load is open-loop, and goes on whatever happens.
"""

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from loadtest.chaos import clock, peers, processes, stores
from loadtest.chaos.case import RATE, Row, run
from ztag_extauthz.stores.kernels import warm

HEADS = ("failure", "requests", "right/s", "failed", "wrong", "p99 ms", "recovery s", "has to be", "holds", "remarks")


PAGE = """# Failures under load

What `make chaos` printed at {rate:.0f} requests a second, open loop, through one Envoy that refuses where it gets no
answer ({cores} cores for all of it, Python {python}, two workers where the row says nothing else). Seven of ten
requests are allowed, three refused, and each answer is compared with the only right one; where the clock is set, with
what is right by ztag's clock. A request failed if it got an error or nothing; recovery counts from the end of the
failure to the last one that did.

{verdict}

{table}"""


def cells(row: Row) -> Sequence[str]:
    numbers = (f"{row.due:,}", f"{row.rate:,.0f}", str(row.failed), str(row.wrong), f"{row.p99 * 1e3:,.0f}")
    met = "yes" if row.met else "NO"
    return (row.name, *numbers, f"{row.recovery:.1f}", row.criterion, met, row.remarks)


def page(rows: Sequence[Row], rate: float) -> str:
    """Return the page of the report: what was done, whether all of it holds, and the table."""
    missed = [row.name for row in rows if not row.met]
    lines = [HEADS, ["---"] * len(HEADS), *map(cells, rows)]
    return PAGE.format(
        rate=rate,
        cores=os.cpu_count(),
        python=platform.python_version(),
        verdict=f"Does not hold: {'; '.join(missed)}." if missed else "Every row holds.",
        table="".join(f"| {' | '.join(line)} |\n" for line in lines),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], help="names of classes")
    parser.add_argument("--rate", type=float, default=RATE, help="requests a second")
    parser.add_argument("--out", type=Path, help="write the page of the report there, too")
    given = parser.parse_args()
    for module in ("ztag_extauthz.envoy.fingerprint_kernel", "ztag_extauthz.stores.limits.table"):
        warm(module)  # compiled by now, they are part of no case's start
    kinds = [*processes.CASES, *clock.CASES, *stores.CASES, *peers.CASES]
    rows = []
    for kind in kinds:
        if not given.only or kind.__name__ in given.only:
            rows.append(run(kind(given.rate)))
            print(*cells(rows[-1]), sep=" | ", flush=True)
    table = Table(*HEADS, title=f"Chaos, {given.rate:.0f} requests a second through one Envoy")
    for row in rows:
        table.add_row(*cells(row))
    Console(width=None if sys.stdout.isatty() else 170).print(table)
    if given.out:
        given.out.write_text(page(rows, given.rate))
    sys.exit(not all(row.met for row in rows))


if __name__ == "__main__":
    main()
