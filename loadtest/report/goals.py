"""The project's goals beside what was measured: one row each, met or not."""

from collections.abc import Callable, Iterable, Sequence
from statistics import fmean
from typing import Final, TypeAlias, TypeVar

from msgspec import Struct

from loadtest.report.figures import (
    ALONE,
    CONSTANT,
    GUARDED,
    NEW,
    OWN_FILTERS,
    PLUGIN,
    UNCACHED,
    WARM,
    ZTAG,
    Direct,
    Report,
    Start,
    Through,
    behind_envoy,
)

ENVOY_ALONE, ENVOY_ZTAG = 45_000, 10_000
"""The goal through Envoy is for a machine on which an Envoy alone answers so many; elsewhere it is in proportion."""
STATED: Final = "stated"
_CALM: Final = 1000.0
"""Requests a second at which latencies of ways through Envoy are compared that all keep up."""
_T = TypeVar("_T")
Found: TypeAlias = tuple[str, bool | None]


class Figure(Struct, frozen=True):
    """A goal and what came of it."""

    what: str
    goal: str
    found: str
    met: bool | None
    """None: nobody set a goal, or it was not measured."""
    how: str

    @property
    def verdict(self) -> str:
        if self.met is not None:
            return "met" if self.met else "missed"
        return STATED if self.found else "not measured"


class Goal(Struct, frozen=True):
    """What is asked of a report."""

    what: str
    goal: str
    how: str
    find: Callable[[Report], Found | None]


def figures(report: Report) -> Sequence[Figure]:
    """Return every goal with its figure."""
    found = [(goal, goal.find(report) or ("", None)) for goal in GOALS]
    return [Figure(goal.what, goal.goal, text, met, goal.how) for goal, (text, met) in found]


def _first(rows: Iterable[_T]) -> _T | None:
    return next(iter(rows), None)


def _direct(report: Report, trace: str, server: str) -> Direct | None:
    return _first(row for row in report.direct if (row.trace, row.server) == (trace, server))


def _beside_plugin(report: Report, trace: str, server: str) -> Direct | None:
    """Return a row whose ratios are to the plugin's, which is asked first where it is there."""
    return _direct(report, trace, server) if report.direct and report.direct[0].server == PLUGIN else None


def _through(report: Report, way: str, due: float = 0.0) -> Through | None:
    return _first(row for row in report.through if (row.way, row.due) == (way, due))


def _whole_pipeline(report: Report) -> Found | None:
    full, constant = (_direct(report, WARM, name) for name in (GUARDED, CONSTANT))
    if full is None or constant is None:
        return None
    ratio = full.rate / constant.rate
    return f"{ratio:.2f} ({full.rate:,.0f} of {constant.rate:,.0f} requests/s)", ratio >= 0.6


def _throughput(report: Report) -> Found | None:
    row = _beside_plugin(report, WARM, ZTAG)
    return None if row is None else (f"{row.ratio:.1f} x ({row.rate:,.0f} requests/s)", row.ratio >= 6)


def _cpu(report: Report) -> Found | None:
    row = _beside_plugin(report, WARM, ZTAG)
    return None if row is None else (f"{row.cpu_ratio:.2f} x ({row.cpu:.0f} µs)", row.cpu_ratio <= 0.15)


def _cpu_uncached(report: Report) -> Found | None:
    row = _beside_plugin(report, NEW, UNCACHED)
    return None if row is None else (f"{row.cpu_ratio:.2f} x ({row.cpu:.0f} µs)", row.cpu_ratio <= 0.4)


def _half(report: Report) -> Found | None:
    row = _first(row for row in report.half if row.server == ZTAG)
    if row is None or row.ratio is None:
        return None
    return f"{row.ratio:.2f} x ({row.p99 * 1e3:.1f} ms at {row.saturation / 2:,.0f} requests/s)", row.ratio <= 0.5


def _envoy_p99(report: Report) -> Found | None:
    row = _through(report, behind_envoy(ZTAG))
    if row is None or row.p99_of_plugin is None:
        return None
    return f"{row.p99_of_plugin:.2f} x ({row.p99 * 1e3:.1f} ms)", row.p99_of_plugin <= 0.5


def _envoy_share(report: Report) -> Found | None:
    row = _through(report, behind_envoy(ZTAG))
    share = row.of_constant if row else None
    return None if share is None else (f"{share:.2f}", share >= 0.9)


def _envoy_rate(report: Report) -> Found | None:
    row, alone = (_through(report, way) for way in (behind_envoy(ZTAG), ALONE))
    if row is None or alone is None:
        return None
    goal = ENVOY_ZTAG * alone.rate / ENVOY_ALONE
    text = f"{row.rate:,.0f}; here an Envoy alone answers {alone.rate:,.0f}, so the goal is {goal:,.0f}"
    return text, row.rate >= goal


def _own_filters(report: Report) -> Found | None:
    row, own = (_through(report, way, _CALM) for way in (behind_envoy(ZTAG), OWN_FILTERS))
    if row is None or own is None:
        return None
    middle, late = ((mine - its) * 1e3 for mine, its in ((row.p50, own.p50), (row.p99, own.p99)))
    return f"{middle:+.2f} ms p50, {late:+.2f} ms p99", None


def _connections(report: Report) -> Found | None:
    row = _first(row for row in report.held if row.connections >= 10_000)
    if row is None:
        return None
    text = f"{row.resident / 1e6:.0f} MB; {row.answered:,} answered, {row.failed} failed, {row.closed} closed"
    return text, row.resident < 500e6 and row.answered > 0 and not row.failed and not row.closed


def _hits(report: Report) -> Found | None:
    late = report.hits[len(report.hits) // 2 :]
    if not late:
        return None
    share = fmean(row.hit for row in late)
    return f"{share:.1%} ({late[-1].hit:.1%} at the end)", share >= 0.95


def _risk(report: Report) -> Found | None:
    row = _first(report.risk)
    if row is None:
        return None
    text = f"{row.p50 * 1e6:.1f} µs p50, {row.p99 * 1e6:.1f} µs p99; {row.taken:,} bytes at once, at most"
    return text, row.p50 <= 5e-6 and row.p99 <= 20e-6


def _workers(report: Report) -> Found | None:
    row = _first(row for row in report.workers if row.workers == 2)
    if row is None:
        return None
    measured = f"{row.ratio:.2f} x in requests/s"
    if row.is_machine_full:
        says = f"{row.per_cpu:.2f} x by CPU a request; {measured}, on a machine that was full"
        return says, row.per_cpu >= 1.8
    return measured, row.ratio >= 1.8


def _start(report: Report) -> Found | None:
    row = _first(row for row in report.start if row.name == GUARDED)
    return None if row is None else (f"{row.seconds:.2f} s ({row.cpu:.2f} s of CPU)", row.seconds <= 1.5)


def _memory(report: Report) -> Found | None:
    row = _first(row for row in report.start if row.name == GUARDED)
    return None if row is None else (_sizes(row), row.own <= 150e6)


def _sizes(row: Start) -> str:
    own, resident, tables = (f"{size / 1e6:.0f} MB" for size in (row.own, row.resident, row.tables))
    return f"{own} of its own; resident {resident} with libraries and {tables} of tables, which workers share"


_SAME: Final = f"over gRPC, {WARM}; the plugin has every core, ztag one worker"
GOALS: Final = (
    Goal(
        "Warm pipeline with JWT, limits, risk, remembered policy, metrics, audit: throughput to a constant answer's",
        "≥ 0.6",
        f"over gRPC, {WARM}; same engine",
        _whole_pipeline,
    ),
    Goal("Throughput to opa-envoy-plugin's", "≥ 6 x", _SAME, _throughput),
    Goal("CPU a decision to opa-envoy-plugin's", "≤ 0.15 x", _SAME, _cpu),
    Goal(
        "CPU a decision to opa-envoy-plugin's, nothing remembered",
        "≤ 0.4 x",
        f"over gRPC, {NEW}, policy's cache off",
        _cpu_uncached,
    ),
    Goal(
        "p99 at half of its own saturation, to opa-envoy-plugin's at half of its own",
        "≤ 0.5 x",
        "over gRPC, open loop",
        _half,
    ),
    Goal(
        "p99 through one Envoy to opa-envoy-plugin's", "≤ 0.5 x", "64 connections, as fast as answers come", _envoy_p99
    ),
    Goal(
        "Throughput through one Envoy thread to a constant answer's",
        "≥ 0.9",
        "64 connections, as fast as answers come",
        _envoy_share,
    ),
    Goal(
        "Requests a second through Envoy on 2 cores",
        f"≥ {ENVOY_ZTAG:,} where an Envoy alone answers {ENVOY_ALONE:,}",
        "one Envoy thread, one worker; the generator shares the cores",
        _envoy_rate,
    ),
    Goal(
        "Latency that ztag adds to Envoy's own jwt_authn + rbac",
        STATED,
        f"through one Envoy, open loop, {_CALM:,.0f} requests/s",
        _own_filters,
    ),
    Goal(
        "10,000 connections on one worker",
        "< 500 MB, still answering",
        "200 of them ask in turn, resident memory of the worker",
        _connections,
    ),
    Goal(
        "Answers of the policy that are remembered, Zipf's law (s = 1), 1,000 users x 50 paths",
        "≥ 95 %",
        "one worker that began cold, second half of the requests, by its metrics",
        _hits,
    ),
    Goal(
        "Risk score, whole call",
        "≤ 5 µs p50, ≤ 20 µs p99",
        "one process, request in, score and reasons out; the rows of numbers are made once",
        _risk,
    ),
    Goal("Workers 1 → 2 on 2 free cores", "≥ 1.8 x", "one generator and one connection a worker", _workers),
    Goal("Start to ready, kernels compiled before", "≤ 1.5 s", f"ztag serve, {GUARDED}", _start),
    Goal(
        "Memory of a worker",
        "≤ 150 MB",
        f"what a further worker takes again, {GUARDED}, after some thousand requests",
        _memory,
    ),
)
