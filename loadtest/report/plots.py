"""`Report` → drawings."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from loadtest.report.figures import (
    ALONE,
    CONSTANT,
    GRPCIO,
    GUARDED,
    OWN_FILTERS,
    PLUGIN,
    PLUGIN_AS_IT_COMES,
    SIDECAR,
    UNCACHED,
    ZTAG,
    Report,
    behind_envoy,
)
from loadtest.report.svg import Axis, Bar, Line, bars, decades, lines, nested, over

COLOURS: Final[Mapping[str, int]] = {
    ZTAG: 0,
    PLUGIN: 1,
    CONSTANT: 2,
    GRPCIO: 3,
    UNCACHED: 4,
    GUARDED: 5,
    PLUGIN_AS_IT_COMES: 6,
    SIDECAR: 7,
    behind_envoy(ZTAG): 0,
    behind_envoy(PLUGIN): 1,
    behind_envoy(CONSTANT): 2,
    ALONE: 3,
    OWN_FILTERS: 4,
}
"""One server looks alike in every drawing."""


class Plot(Struct, frozen=True):
    """Drawings under one heading, and what to know of them."""

    title: str
    remark: str
    drawings: Sequence[str]


def plots(report: Report) -> Sequence[Plot]:
    """Return what there are figures for."""
    found = [
        make(report) for make in (_traces, _envoy, _direct_latency, _envoy_latency, _costs, _workers, _hits, _held)
    ]
    return [plot for plot in found if plot.drawings]


def _traces(report: Report) -> Plot:
    most = max((row.highest for row in report.direct), default=0.0)
    drawings = [
        bars(
            trace,
            "requests a second",
            [
                Bar(row.server, row.rate, row.lowest, row.highest, COLOURS[row.server])
                for row in report.direct
                if row.trace == trace
            ],
            most,
        )
        for trace in dict.fromkeys(row.trace for row in report.direct)
    ]
    return Plot(
        "Throughput by trace and server",
        "Over gRPC, one connection; the thin line is from the slowest to the fastest round.",
        drawings,
    )


def _envoy(report: Report) -> Plot:
    rows = [row for row in report.through if not row.due]
    rates = [Bar(row.way, row.rate, row.lowest, row.highest, COLOURS[row.way]) for row in rows]
    costs = [(row.envoy_cpu + row.server_cpu) * 1000 for row in rows]
    spent = [Bar(row.way, cost, cost, cost, COLOURS[row.way]) for row, cost in zip(rows, costs, strict=True)]
    drawings = [
        bars("As fast as answers come", "requests a second", rates),
        bars("CPU of Envoy and server", "µs a request", spent),
    ]
    remark = "One Envoy thread, 64 connections. What an Envoy alone answers is the generator's limit, too."
    return Plot("Throughput through Envoy", remark, drawings if rows else [])


def _direct_latency(report: Report) -> Plot:
    found = [(row.server, row.due, row.p50, row.p99) for row in report.paced]
    remark = "Latency counts from when a request was due. A server that did not keep up is not asked at a higher rate."
    return Plot("Latency against rate, over gRPC", remark, _latencies("Over gRPC", found))


def _envoy_latency(report: Report) -> Plot:
    found = [(row.way, row.due, row.p50, row.p99) for row in report.through if row.due]
    return Plot(
        "Latency against rate, through Envoy",
        "Open loop, 64 connections, one Envoy thread.",
        _latencies("Through Envoy", found),
    )


def _latencies(place: str, rows: Sequence[tuple[str, float, float, float]]) -> Sequence[str]:
    """Draw p50 and p99 of (name, requests a second, p50, p99), in seconds, to the same scale."""
    if not rows:
        return []
    x = decades("requests a second that were due", [due for _, due, _, _ in rows])
    y = decades("ms", [value * 1e3 for _, _, middle, late in rows for value in (middle, late)])
    middles = _by_name((name, due, middle * 1e3) for name, due, middle, _ in rows)
    lates = _by_name((name, due, late * 1e3) for name, due, _, late in rows)
    return [lines(f"{place}, p50", x, y, middles), lines(f"{place}, p99", x, y, lates)]


def _by_name(points: Iterable[tuple[str, float, float]]) -> Sequence[Line]:
    found: dict[str, list[tuple[float, float]]] = {}
    for name, x, y in points:
        found.setdefault(name, []).append((x, y))
    return [Line(name, line, COLOURS[name]) for name, line in found.items()]


def _costs(report: Report) -> Plot:
    inside: dict[str, list[tuple[str, float]]] = {}
    for row in report.stages:
        inside.setdefault(row.within, []).append((row.name, row.cpu))
    remark = (
        "What is at the right is a part of what is at its left, and as high as it costs. ztag's code is measured "
        "without a server; what it costs more within one, where other work fills the processor's caches, is the last "
        "part."
    )
    drawings = [nested("CPU of one warm request", "µs", inside, *inside[""])] if inside else []
    return Plot("Cost by stage", remark, drawings)


def _workers(report: Report) -> Plot:
    rates = [Bar(_named(row.workers), row.rate, row.lowest, row.highest, 0) for row in report.workers]
    ratios = [Bar(_named(row.workers), row.per_cpu, row.per_cpu, row.per_cpu, 4) for row in report.workers]
    drawings = [
        bars("Throughput", "requests a second; the generators share the cores", rates),
        bars("Capacity by CPU a request", "times one worker, with a free core for each", ratios),
    ]
    full = [row for row in report.workers if row.is_machine_full or row.is_generator_full]
    remarks = [
        f"{_named(row.workers)}: {'a generator' if row.is_generator_full else 'the machine'} was full" for row in full
    ]
    return Plot(
        "Scaling with workers", "; ".join(remarks) or "Nothing but the workers was full.", drawings if rates else []
    )


def _named(workers: int) -> str:
    return f"{workers} workers" if workers > 1 else "1 worker"


def _hits(report: Report) -> Plot:
    if not report.hits:
        return Plot("", "", [])
    x = over("requests, thousands", [report.hits[-1].requests / 1000])
    y = Axis("% of the last requests", 0.0, 100.0)
    rows = [
        Line("anywhere", [(row.requests / 1000, 100 * row.hit) for row in report.hits], 0),
        Line("in the worker's own memory", [(row.requests / 1000, 100 * row.worker) for row in report.hits], 4),
    ]
    remark = "One worker that began cold, 1,000 users and 50 paths by Zipf's law; the dashed line is the goal, 95 %."
    return Plot("Hits over time", remark, [lines("Answers of the policy that were remembered", x, y, rows, 95.0)])


def _held(report: Report) -> Plot:
    if not report.held:
        return Plot("", "", [])
    most = report.held[-1]
    x = over("open connections", [most.connections])
    asked = [row for row in report.held if row.answered]
    memory = Line("resident memory of the worker", [(row.connections, row.resident / 1e6) for row in report.held], 0)
    late = [
        Line("p50", [(row.connections, row.p50 * 1e3) for row in asked], 0),
        Line("p99", [(row.connections, row.p99 * 1e3) for row in asked], 1),
    ]
    drawings = [
        lines("Memory", x, over("MB", [500.0, most.resident / 1e6]), [memory], 500.0),
        lines("Latency on 200 of them, asked in turn", x, over("ms", [row.p99 * 1e3 for row in asked]), late),
    ]
    return Plot("Memory over connections", "One worker; the dashed line is the goal at 10,000, 500 MB.", drawings)
