"""What `/metrics` shows: the workers' cells added up, and what only the supervisor knows."""

import os
from collections.abc import Iterable, Iterator, Mapping, MutableSequence
from itertools import accumulate
from pathlib import Path

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from ztag_extauthz import __version__
from ztag_extauthz.meter import BOUNDS, METRICS, Name, Sample, add_up
from ztag_extauthz.server.crew import Member

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_LE = (*(repr(bound) for bound in BOUNDS), "+Inf")


def render(members: Iterable[Member], own: MutableSequence[float], accept: str) -> tuple[bytes, str]:
    """Return the exposition and its content type, OpenMetrics or Prometheus text as the scraper accepts.

    `own` are the cells that the supervisor itself counts in.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Scrape(tuple(members), own))
    encoder, content_type = choose_encoder(accept)
    return encoder(registry), content_type


class _Scrape(Collector):
    def __init__(self, members: tuple[Member, ...], own: MutableSequence[float]) -> None:
        self._members = members
        self._own = own

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("ztag_build", "The running version.", {"version": __version__})
        yield from _counted([*(member.cells for member in self._members), self._own])
        yield from _components(self._members)
        yield from _processes(self._members)


def _counted(rows: Iterable[MutableSequence[float]]) -> Iterator[Metric]:
    families: dict[Name, Metric] = {}
    for sample in add_up(rows):
        metric = METRICS[sample.name]
        family = families.get(sample.name)
        if family is None:
            kind = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "histogram": HistogramMetricFamily}
            family = families[sample.name] = kind[metric.kind](sample.name, metric.help, labels=list(metric.labels))
        _add(family, sample)
    yield from families.values()


def _add(family: Metric, sample: Sample) -> None:
    labels = list(sample.labels.values())
    if isinstance(family, HistogramMetricFamily):
        buckets = list(zip(_LE, accumulate(sample.cells[:-1]), strict=True))
        family.add_metric(labels, buckets=buckets, sum_value=sample.cells[-1])
    elif isinstance(family, CounterMetricFamily | GaugeMetricFamily):
        family.add_metric(labels, sample.cells[0])


def _components(members: tuple[Member, ...]) -> Iterator[Metric]:
    """Show each component as the worker sees it that is worst off."""
    ready: dict[str, float] = {}
    updated: dict[str, float] = {}
    for member in members:
        for entry in member.components:
            ready[entry.component] = min(ready.get(entry.component, 1.0), float(entry.ready))
            updated[entry.component] = min(updated.get(entry.component, entry.updated_at), entry.updated_at)
    yield _gauge("ztag_component_ready", "Whether a component is ready in every worker.", "component", ready)
    help_ = "When a component was last loaded, Unix time; of the worker where that is longest ago."
    yield _gauge("ztag_component_updated_timestamp_seconds", help_, "component", updated)
    accepting = {str(member.number): float(member.accepting) for member in members}
    yield _gauge("ztag_worker_up", "Whether a worker accepts requests.", "worker", accepting)


def _processes(members: tuple[Member, ...]) -> Iterator[Metric]:
    memory: dict[str, float] = {}
    cpu = CounterMetricFamily("ztag_worker_cpu_seconds", "CPU time of a worker's process.", labels=["worker"])
    for member in members:
        if member.process and (usage := _usage(member.process.pid)):
            memory[str(member.number)], seconds = usage
            cpu.add_metric([str(member.number)], seconds)
    yield _gauge("ztag_worker_resident_memory_bytes", "Resident memory of a worker's process.", "worker", memory)
    yield cpu


def _usage(pid: int | None) -> tuple[float, float] | None:
    """Return resident bytes and CPU seconds of a process (proc(5)), or None if it is gone."""
    try:
        # What stands behind the last parenthesis cannot be confused by the command's name.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[21]) * _PAGE, (int(fields[11]) + int(fields[12])) / _TICKS


def _gauge(name: str, help_: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, help_, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family
