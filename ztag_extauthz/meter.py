"""Every metric of ztag, and the cells that the workers count in.

All workers of a node count into one block of shared memory, a row of float64 cells each: counting is one addition to
a worker's own row, a scrape adds up the rows, and a worker that dies takes no count with it. So every label's values
are known beforehand: nothing that a caller sends can become a label.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, MutableSequence
from itertools import product
from typing import Literal

from msgspec import Struct

from ztag_extauthz.model import Outcome, Reason, Stage

Kind = Literal["counter", "gauge", "histogram"]
Name = Literal[
    "ztag_decisions",
    "ztag_check_seconds",
    "ztag_stage_seconds",
    "ztag_in_flight",
    "ztag_shed",
    "ztag_recurring",
    "ztag_token_cache",
    "ztag_key_fetches",
    "ztag_audit_dropped",
    "ztag_record_dropped",
    "ztag_decision_log_dropped",
    "ztag_shadow",
    "ztag_reloads",
    "ztag_configuration_refused",
    "ztag_bundle_fetches",
    "ztag_limits",
    "ztag_limit_fallbacks",
    "ztag_places",
    "ztag_risk",
    "ztag_risk_outcomes",
    "ztag_risk_exchange",
    "ztag_revocation_requests",
    "ztag_cache_lookups",
    "ztag_cache_uncached",
    "ztag_cache_evictions",
    "ztag_cache_entries",
    "ztag_cache_bytes",
    "ztag_cache_shared_entries",
    "ztag_cache_shared_bytes",
    "ztag_cache_redis",
    "ztag_cache_redis_seconds",
    "ztag_cache_redis_writes",
    "ztag_cache_invalidations",
]

BOUNDS = (25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 1.0)
"""Upper bounds of the histograms' buckets in seconds; an answer from memory takes tens of microseconds."""


class Metric(Struct, frozen=True):
    """A metric: its kind, its meaning and the values that its labels can have."""

    kind: Kind
    help: str
    labels: Mapping[str, tuple[str, ...]] = {}
    is_shared: bool = False
    """Every worker tells of the same thing: the highest figure counts, not the sum."""

    @property
    def width(self) -> int:
        """Cells that one series needs: a histogram has a bucket more than bounds, and the sum."""
        return len(BOUNDS) + 2 if self.kind == "histogram" else 1


METRICS: Mapping[Name, Metric] = {
    "ztag_decisions": Metric(
        "counter",
        "Decisions by outcome, the reason of a refusal or an error, and the stage that decided.",
        {"outcome": tuple(Outcome), "reason": ("", *Reason), "stage": tuple(Stage)},
    ),
    "ztag_check_seconds": Metric("histogram", "Time from the request's arrival to its answer."),
    "ztag_stage_seconds": Metric("histogram", "Time spent in a stage.", {"stage": tuple(Stage)}),
    "ztag_in_flight": Metric("gauge", "Requests being answered."),
    "ztag_shed": Metric(
        "counter", "Requests turned away undecided: too many in flight, or already past their deadline."
    ),
    "ztag_recurring": Metric(
        "counter", "Requests that were known as a whole, or met again and read.", {"result": ("hit", "miss")}
    ),
    "ztag_token_cache": Metric("counter", "Verified tokens remembered or not.", {"result": ("hit", "miss")}),
    "ztag_key_fetches": Metric("counter", "Fetches of signing keys.", {"result": ("ok", "error")}),
    "ztag_audit_dropped": Metric("counter", "Audit lines dropped because the writer could not keep up."),
    "ztag_record_dropped": Metric("counter", "Requests not recorded because the writer could not keep up."),
    "ztag_decision_log_dropped": Metric(
        "counter", "Decisions not uploaded because the collector or the writer could not keep up."
    ),
    "ztag_shadow": Metric(
        "counter",
        "Requests that a candidate policy was asked about beside the one in force, by how its answer differs.",
        {"result": ("same", "would_deny", "would_allow", "other_answer", "failed", "skipped")},
    ),
    "ztag_reloads": Metric("counter", "Reloads of settings, policies or keys.", {"result": ("ok", "error")}),
    "ztag_configuration_refused": Metric("gauge", "1 while what is on the disk was refused, and older is in force."),
    "ztag_bundle_fetches": Metric(
        "counter",
        "Looks at bundles of policies: another one put in force or refused, the same one, or no answer.",
        {"result": ("activated", "unchanged", "refused", "error")},
    ),
    "ztag_limits": Metric(
        "counter",
        "Requests that limits allowed, denied, or would have denied were they not shadows.",
        {"stage": tuple(Stage), "result": ("allowed", "denied", "shadow")},
    ),
    "ztag_limit_fallbacks": Metric("counter", "Requests judged by the node's share of a limit while Redis was down."),
    "ztag_places": Metric(
        "counter",
        "Requests that took places of concurrency limits, and that gave them back; what is missing ran into `longest`.",
        {"move": ("taken", "returned")},
    ),
    "ztag_risk": Metric("counter", "Requests by risk band.", {"band": ("low", "elevated", "high")}),
    "ztag_risk_outcomes": Metric(
        "counter", "How upstreams answered what was allowed, as Envoy tells.", {"result": ("ok", "failed")}
    ),
    "ztag_risk_exchange": Metric(
        "counter",
        "What replicas told each other of failures: sent, received, refused (forged or old), or Redis was down.",
        {"result": ("sent", "received", "refused", "error")},
    ),
    "ztag_revocation_requests": Metric(
        "counter",
        "What operators and transmitters of security events asked to be revoked.",
        {"source": ("operator", "event"), "result": ("ok", "refused", "error")},
    ),
    "ztag_cache_lookups": Metric(
        "counter",
        "Answers of policies that were looked for: found in the worker, on the node, at the replicas, or made.",
        {"result": ("worker", "node", "replicas", "miss")},
    ),
    "ztag_cache_uncached": Metric(
        "counter",
        "Answers that were not looked for, or not shared by the workers, by why not.",
        {"why": ("impure", "unlike", "unversioned", "short_lived", "too_large")},
    ),
    "ztag_cache_evictions": Metric(
        "counter", "Answers that made room for others before their end.", {"level": ("worker", "node")}
    ),
    "ztag_cache_entries": Metric("gauge", "Answers in the workers' own memories."),
    "ztag_cache_bytes": Metric("gauge", "Bytes that these take, about."),
    "ztag_cache_shared_entries": Metric("gauge", "Slots of the node's table that were ever used.", is_shared=True),
    "ztag_cache_shared_bytes": Metric("gauge", "Bytes of the node's table, used or not.", is_shared=True),
    "ztag_cache_redis": Metric(
        "counter",
        "Answers looked for in Redis: found, not there, not asked for, or there and not believed.",
        {"result": ("hit", "miss", "down", "unheard", "late", "truncated", "forged", "swapped", "expired")},
    ),
    "ztag_cache_redis_seconds": Metric("histogram", "Time of a round trip for answers in Redis."),
    "ztag_cache_redis_writes": Metric(
        "counter",
        "Answers for Redis: kept, refused by it, or dropped.",
        {"result": ("kept", "refused", "dropped")},
    ),
    "ztag_cache_invalidations": Metric(
        "counter",
        "Invalidations that a worker heard of, by what is forgotten.",
        {"kind": ("all", "subject", "tenant", "resource")},
    ),
}


def _layout() -> dict[tuple[Name, tuple[str, ...]], int]:
    """Give every series its first cell."""
    places: dict[tuple[Name, tuple[str, ...]], int] = {}
    next_cell = 0
    for name, metric in METRICS.items():
        for values in product(*metric.labels.values()):
            places[name, values] = next_cell
            next_cell += metric.width
    return places


SERIES = _layout()
CELLS = sum(METRICS[name].width for name, _ in SERIES)
"""float64 cells of one worker."""


class Meter:
    """One worker's row of cells."""

    def __init__(self, cells: MutableSequence[float] | None = None) -> None:
        self._cells = [0.0] * CELLS if cells is None else cells

    @staticmethod
    def series(name: Name, *label_values: str) -> int:
        """Return the cell of a series; done at load, so that counting is an addition."""
        return SERIES[name, label_values]

    def add(self, series: int, amount: float = 1.0) -> None:
        self._cells[series] += amount

    def set(self, series: int, value: float) -> None:
        self._cells[series] = value

    def observe(self, series: int, seconds: float) -> None:
        self._cells[series + bisect_left(BOUNDS, seconds)] += 1.0
        self._cells[series + len(BOUNDS) + 1] += seconds


class Sample(Struct, frozen=True):
    """One series of a scrape: a value, or the counts of the buckets and the sum."""

    name: Name
    labels: Mapping[str, str]
    cells: tuple[float, ...]


def add_up(rows: Iterable[MutableSequence[float]]) -> Iterator[Sample]:
    """Yield every series that was ever counted, summed over the workers' rows."""
    columns = list(zip(*rows, strict=True))
    for (name, values), first in SERIES.items():
        metric = METRICS[name]
        join = max if metric.is_shared else sum
        cells = tuple(join(column) for column in columns[first : first + metric.width])
        if any(cells) or not metric.labels:
            yield Sample(name, dict(zip(metric.labels, values, strict=True)), cells)
