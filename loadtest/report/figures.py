"""What was measured, in the form in which it is kept."""

from collections.abc import Sequence
from statistics import median

from msgspec import Struct

from loadtest.load.edges import Figures, medians
from loadtest.servers import Target


class Direct(Struct, frozen=True):
    """One server on one trace over gRPC: medians; times in seconds, CPU in µs a request."""

    trace: str
    server: str
    rate: float
    lowest: float
    highest: float
    ratio: float
    """Of its throughput to the first server's, in the same round."""
    cpu: float
    cpu_ratio: float
    p50: float
    p99: float
    p99_ratio: float
    failed: int


class Through(Struct, frozen=True):
    """One way of deciding, through one Envoy thread; CPU in seconds a thousand requests."""

    due: float
    """Requests a second that were due; 0: as fast as answers came."""
    way: str
    rate: float
    lowest: float
    highest: float
    ratio: float
    """Of its throughput to that of an Envoy alone."""
    p50: float
    p99: float
    envoy_cpu: float
    server_cpu: float
    failed: int


class Report(Struct, frozen=True):
    """All of it."""

    machine: str
    rounds: int
    direct: tuple[Direct, ...]
    through: tuple[Through, ...]


def direct_row(trace: str, target: Target, base: Target) -> Direct:
    """Return the medians of a server's rounds, beside those of the one it is compared with."""
    rates = [result.rate for result in target.results]
    pairs = list(zip(target.results, base.results, strict=True))
    cpus = [(mine.whole, its.whole) for mine, its in zip(target.cpu, base.cpu, strict=True)]
    return Direct(
        trace,
        target.name,
        median(rates),
        min(rates),
        max(rates),
        median(mine.rate / its.rate for mine, its in pairs),
        median(mine for mine, _ in cpus),
        median(mine / its for mine, its in cpus),
        median(mine.percentile(50) for mine, _ in pairs),
        median(mine.percentile(99) for mine, _ in pairs),
        median(mine.percentile(99) / its.percentile(99) for mine, its in pairs),
        sum(mine.failed for mine, _ in pairs),
    )


def through_row(due: float, way: str, runs: Sequence[Figures], base: Sequence[Figures]) -> Through:
    """Return the medians of a way's rounds."""
    middle, rates = medians(runs), [run.rate for run in runs]
    ratio = median(mine.rate / its.rate for mine, its in zip(runs, base, strict=True))
    rest = (middle.p50, middle.p99, middle.envoy_cpu, middle.server_cpu, middle.failed)
    return Through(due, way, middle.rate, min(rates), max(rates), ratio, *rest)
