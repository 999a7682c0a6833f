"""Replicas, memory, Redis and money for a load, from what a decision was measured to cost."""

from math import ceil
from pathlib import Path
from typing import Final

from msgspec import Struct

from loadtest.report.figures import NEW, TYPICAL, UNCACHED, ZTAG
from loadtest.report.page import read

REPORT: Final = Path(__file__).parents[1] / "report"
REPEATED: Final = "constant"
_MONTH: Final = 730.0
"""Hours."""
_QUESTION: Final = 120
"""Bytes of a question to Redis: a keyed hash and the protocol around it."""
_FILLED: Final = 0.5
"""How much of what a Redis can do is asked of it."""
MIB: Final = 1 << 20
GIB: Final = 1 << 30


class Costs(Struct, frozen=True):
    """What was measured: µs of CPU a decision, bytes."""

    remembered: float
    """Token and answer are remembered."""
    evaluated: float
    """The token is remembered, the policy is asked."""
    new: float
    """Neither is."""
    typical: float
    """Many users and paths, some more often than others, begun cold."""
    connection: float = 22e3
    """Bytes that an open connection takes."""
    worker: float = 85 * MIB
    """Bytes that a worker has alone, without connections."""
    around: float = 60 * MIB
    """Bytes of a replica's other processes, and of what its workers share."""
    hits: float = 0.95
    """Decisions whose answer the node itself remembers, or that need none."""


class Assumed(Struct, frozen=True):
    """What is not measured: properties of the load, of Redis, and prices."""

    utilisation: float = 0.5
    """Part of a core that a worker may take at the peak."""
    shared: float = 0.5
    """Answers that another replica has put into Redis, of those that the node itself does not remember."""
    lease: float = 25.0
    """Decisions that one round trip to Redis permits (a quarter of a burst of 100)."""
    pause: float = 10.0
    """Seconds between two requests of a caller, in the mean."""
    envoy_thread: float = 2000.0
    """Requests a second of a thread of Envoy; each has a connection to every worker."""
    redis_commands: float = 100e3
    """Commands a second that a core of Redis answers."""
    redis_memory: float = 8 * GIB
    """Bytes of a Redis."""
    ttl: float = 60.0
    """Seconds that an answer lives."""
    entry: float = 612.0
    """Bytes of an answer in Redis, its key and Redis's own among them."""
    counter: float = 150.0
    """Bytes of a limit's counter."""
    polls: float = 5.0
    """Questions a second and worker after what is to be forgotten (`interval`)."""
    cpu_hour: float = 0.04
    """Price of a vCPU for an hour."""
    gib_hour: float = 0.005
    """Price of a GiB for an hour."""


class Load(Struct, frozen=True):
    """Requests a second in the mean, and how much higher the highest second is."""

    name: str
    mean: float
    peak: float
    workers: int
    """Of a replica."""


LOADS: Final = (
    Load("10 K a minute", 10e3 / 60, 3.0, 1),
    Load("20 K a minute", 20e3 / 60, 3.0, 1),
    Load("50 K a minute", 50e3 / 60, 3.0, 1),
    Load("10 K a second", 10e3, 3.0, 2),
    Load("1 M a second", 1e6, 1.5, 4),
)


class Redis(Struct, frozen=True):
    """What Redis is asked, a second, and keeps."""

    answers: float
    """Reads and writes of answers."""
    leases: float
    polls: float
    bandwidth: float
    """Bytes a second, both ways."""
    kept: float
    """Bytes."""
    shards: int
    """Primaries; each has a replica."""


class Size(Struct, frozen=True):
    """What a load takes; `cpu` (seconds a second) in its highest second."""

    load: Load
    cpu: float
    replicas: int
    cores: float
    """Of a replica."""
    memory: float
    """Bytes of a replica."""
    redis: Redis
    own: float
    """Money a month, without Redis."""
    stored: float
    """Money a month for Redis."""
    million: float
    """Money for a million decisions, all told."""


def measured(folder: Path = REPORT) -> Costs:
    """Read the costs of a report. Raises `LookupError` where it lacks one."""
    report = read(folder)
    found = {(row.trace, row.server): row.cpu for row in report.direct}
    given: dict[str, float] = {}
    if report.held:
        none, *_, most = report.held
        given["connection"] = (most.resident - none.resident) / (most.connections - none.connections)
    if report.hits:
        warm = report.hits[len(report.hits) // 2 :]
        given["hits"] = sum(row.worker + row.node + row.other for row in warm) / len(warm)
    if report.start:
        given["worker"] = max(row.own for row in report.start)
        given["around"] = max(row.resident - row.own + row.around for row in report.start)
    return Costs(found[REPEATED, ZTAG], found[TYPICAL, UNCACHED], found[NEW, ZTAG], found[TYPICAL, ZTAG], **given)


def sized(load: Load, costs: Costs, assumed: Assumed) -> Size:
    """Return what a load takes."""
    peak = load.mean * load.peak
    cpu = peak * costs.typical * 1e-6
    replicas = max(2, ceil(ceil(cpu / assumed.utilisation) / load.workers) + 1)
    # Twice what it takes, for a cold start and the load of a replica that is gone; a quarter of a core is the unit.
    cores = max(0.5, ceil(2 * cpu / replicas * 4) / 4)
    connections = ceil(peak / assumed.envoy_thread) * costs.connection
    memory = ceil(1.25 * (costs.around + load.workers * (costs.worker + connections)) / (64 * MIB)) * 64 * MIB
    redis = asked(load, costs, assumed, replicas * load.workers)
    own = _MONTH * replicas * _price(cores, memory, assumed)
    stored = _MONTH * 2 * redis.shards * _price(1.0, max(GIB, 2 * redis.kept / redis.shards), assumed)
    million = (own + stored) / (load.mean * _MONTH * 3600) * 1e6
    return Size(load, cpu, replicas, cores, memory, redis, own, stored, million)


def asked(load: Load, costs: Costs, assumed: Assumed, workers: int) -> Redis:
    """Return what Redis is asked in the highest second."""
    peak = load.mean * load.peak
    reads = peak * (1 - costs.hits)
    writes = reads * (1 - assumed.shared)
    leases, polls = peak / assumed.lease, workers * assumed.polls
    bandwidth = reads * (_QUESTION + assumed.shared * assumed.entry) + writes * assumed.entry
    bandwidth += (leases + polls) * 2 * _QUESTION
    kept = writes * assumed.ttl * assumed.entry + load.mean * assumed.pause * assumed.counter
    parts = ((reads + writes + leases + polls) / assumed.redis_commands, kept / assumed.redis_memory)
    return Redis(reads + writes, leases, polls, bandwidth, kept, ceil(max(parts) / _FILLED))


def _price(cores: float, memory: float, assumed: Assumed) -> float:
    return cores * assumed.cpu_hour + memory / GIB * assumed.gib_hour
