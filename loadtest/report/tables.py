"""`Report` → tables of text, for the page and for Markdown alike."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from loadtest.report.figures import Direct, Report, Through
from loadtest.report.goals import figures

DIRECT: Final = ("server", "requests/s", "min to max", "of the first", "CPU µs", "p50 ms", "p99 ms", "failed")
THROUGH: Final = (
    "way",
    "requests/s",
    "min to max",
    "of Envoy alone",
    "CPU s/1,000: Envoy + server",
    "generator, cores",
    "p50 ms",
    "p99 ms",
    "failed",
)


class Table(Struct, frozen=True):
    """A heading, the names of the columns, and the rows."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


def goals(report: Report) -> Table:
    """Return every goal with its figure."""
    rows = [(each.what, each.goal, each.found or "-", each.verdict, each.how) for each in figures(report)]
    return Table("Figures", ("figure", "goal", "measured", "verdict", "how"), rows)


def of_trace(report: Report, trace: str) -> Table:
    return Table(f"Direct: {trace}", DIRECT, [_direct(row) for row in report.direct if row.trace == trace])


def tables(report: Report) -> Sequence[Table]:
    """Return everything that was measured."""
    found = [
        *(of_trace(report, trace) for trace in dict.fromkeys(row.trace for row in report.direct)),
        _paced(report),
        _half(report),
        *(_at(report, due) for due in dict.fromkeys(row.due for row in report.through)),
        _costs(report),
        _workers(report),
        _hits(report),
        _held(report),
        _starts(report),
        _risk(report),
    ]
    return [table for table in found if table.rows]


def _direct(row: Direct) -> Sequence[str]:
    rates = (f"{row.rate:,.0f}", f"{row.lowest:,.0f} to {row.highest:,.0f}", f"{row.ratio:.2f}")
    cpu = f"{row.cpu:.0f} ({row.cpu_ratio:.2f})"
    return (row.server, *rates, cpu, ms(row.p50), f"{ms(row.p99)} ({row.p99_ratio:.2f})", str(row.failed))


def _at(report: Report, due: float) -> Table:
    title = f"{due:,.0f} requests a second, open loop" if due else "as fast as answers come"
    return Table(f"Through Envoy: {title}", THROUGH, [_through(row) for row in report.through if row.due == due])


def _through(row: Through) -> Sequence[str]:
    rates = (f"{row.rate:,.0f}", f"{row.lowest:,.0f} to {row.highest:,.0f}", f"{row.ratio:.2f}")
    cpu = (f"{row.envoy_cpu:.3f} + {row.server_cpu:.3f}", f"{row.generator_cpu * row.rate / 1000:.2f}")
    return (row.way, *rates, *cpu, ms(row.p50), ms(row.p99), str(row.failed))


def _paced(report: Report) -> Table:
    heads = ("server", "due/s", "answered/s", "p50 ms", "p99 ms", "generator late, p99 ms", "failed")
    rows = [
        (
            row.server,
            f"{row.due:,.0f}",
            f"{row.rate:,.0f}",
            *(ms(each) for each in (row.p50, row.p99, row.late)),
            str(row.failed),
        )
        for row in report.paced
    ]
    return Table("Direct, open loop", heads, rows)


def _half(report: Report) -> Table:
    heads = ("server", "saturation/s", "p50 ms at half", "p99 ms at half", "of the plugin's", "failed")
    rows = [
        (
            row.server,
            f"{row.saturation:,.0f}",
            ms(row.p50),
            ms(row.p99),
            "" if row.ratio is None else f"{row.ratio:.2f}",
            str(row.failed),
        )
        for row in report.half
    ]
    return Table("Direct, open loop, each at half of its own saturation", heads, rows)


def _costs(report: Report) -> Table:
    depth = {"": 0}
    for row in report.stages:
        depth[row.name] = depth[row.within] + 1
    rows = [("· " * (depth[row.name] - 1) + row.name, f"{row.cpu:.1f}") for row in report.stages]
    return Table("Cost of one warm request", ("part", "CPU µs"), rows)


def _workers(report: Report) -> Table:
    heads = (
        "workers",
        "requests/s",
        "min to max",
        "of one",
        "CPU µs",
        "by CPU",
        "busiest generator",
        "its cores",
        "busy cores",
        "limit",
        "failed",
    )
    rows = [
        (
            str(row.workers),
            f"{row.rate:,.0f}",
            f"{row.lowest:,.0f} to {row.highest:,.0f}",
            f"{row.ratio:.2f}",
            f"{row.cpu:.0f}",
            f"{row.per_cpu:.2f}",
            f"{row.generator:.2f}",
            f"{row.cores:.2f}",
            f"{row.busy:.2f} of {row.available}",
            limit(full=row.is_machine_full, generator=row.is_generator_full),
            str(row.failed),
        )
        for row in report.workers
    ]
    return Table("Workers", heads, rows)


def limit(*, full: bool, generator: bool) -> str:
    """Return what kept a run from being faster."""
    return "the generator" if generator else "the machine" if full else "the workers"


def _hits(report: Report) -> Table:
    heads = ("requests", "seconds", "found", "in the worker", "on the node", "before the policy", "failed")
    rows = [
        (
            f"{row.requests:,}",
            f"{row.seconds:.1f}",
            *(f"{share:.1%}" for share in (row.hit, row.worker, row.node, row.other)),
            str(row.failed),
        )
        for row in report.hits[4::5]
    ]
    return Table("Answers found, of the last requests", heads, rows)


def _held(report: Report) -> Table:
    heads = ("connections", "worker MB", "answered", "p50 ms", "p99 ms", "failed", "closed")
    rows = [
        (
            f"{row.connections:,}",
            f"{row.resident / 1e6:.0f}",
            f"{row.answered:,}",
            *((ms(row.p50), ms(row.p99)) if row.answered else ("", "")),
            str(row.failed),
            str(row.closed),
        )
        for row in report.held
    ]
    return Table("Connections on one worker", heads, rows)


def _starts(report: Report) -> Table:
    heads = ("server", "ready s", "slowest s", "CPU s", "worker's own MB", "resident MB", "tables MB", "around it MB")
    rows = [
        (
            row.name,
            f"{row.seconds:.2f}",
            f"{row.slowest:.2f}",
            f"{row.cpu:.2f}",
            *(f"{size / 1e6:.0f}" for size in (row.own, row.resident, row.tables, row.around)),
        )
        for row in report.start
    ]
    return Table("Start and memory", heads, rows)


def _risk(report: Report) -> Table:
    rows = [(row.name, f"{row.p50 * 1e6:.1f}", f"{row.p99 * 1e6:.1f}", f"{row.taken:,}") for row in report.risk]
    return Table("Risk scorer, one call", ("what", "p50 µs", "p99 µs", "bytes at once, at most"), rows)


def ms(seconds: float) -> str:
    return f"{seconds * 1e3:.1f}"
