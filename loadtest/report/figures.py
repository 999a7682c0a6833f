"""What was measured, in the form in which it is kept; a part that was not measured (yet) has no rows."""

from typing import Final

from msgspec import Struct

PLUGIN: Final = "opa-envoy-plugin"
"""At its best."""
PLUGIN_AS_IT_COMES: Final = "opa-envoy-plugin as it comes"
SIDECAR: Final = "ztag, OPA sidecar, nothing remembered"
ZTAG: Final = "ztag"
UNCACHED: Final = "ztag, policy cache off"
GUARDED: Final = "ztag with limits and risk"
GRPCIO: Final = "ztag on grpcio"
CONSTANT: Final = "ztag, constant answer"
ALONE: Final = "Envoy alone"
OWN_FILTERS: Final = "Envoy's jwt_authn + rbac"
WHOLE: Final = "one warm request"

WARM: Final = "100 users x 10 paths, again and again"
TYPICAL: Final = "Zipf, 1,000 users x 50 paths"
NEW: Final = "all tokens and paths new"


def behind_envoy(server: str) -> str:
    """Return the name of the way through an Envoy that asks a server."""
    return f"Envoy + {server}"


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
    generator_cpu: float = 0.0
    of_constant: float | None = None
    """Its throughput to that of a constant answer, in the same round."""
    p99_of_plugin: float | None = None
    """Its p99 to that of opa-envoy-plugin, in the same round."""


class Paced(Struct, frozen=True):
    """One server over gRPC at a constant rate (open loop): medians, times in seconds."""

    server: str
    due: float
    rate: float
    p50: float
    p99: float
    late: float
    """How late the generator sent its slowest percent."""
    failed: int


class Half(Struct, frozen=True):
    """One server over gRPC at half of the rate at which it saturates (open loop)."""

    server: str
    saturation: float
    p50: float
    p99: float
    ratio: float | None
    """Of its p99 to that of opa-envoy-plugin at half of its own, in the same round."""
    failed: int


class Cost(Struct, frozen=True):
    """µs of CPU of one warm request; what is `within` another is a part of it."""

    name: str
    within: str
    cpu: float


class Workers(Struct, frozen=True):
    """A node of some workers, each asked by a generator of its own."""

    workers: int
    rate: float
    lowest: float
    highest: float
    ratio: float
    """Of its throughput to that of one worker, in the same round."""
    cpu: float
    """µs a request, of all workers."""
    per_cpu: float
    """What as many cores of their own would answer, to what one would: the workers times the ratio of CPU a request."""
    generator: float
    """Part of a core that the busiest generator took."""
    cores: float
    """Cores that workers and generators took together."""
    busy: float
    """Cores that were at work, on whatever."""
    available: int
    """Cores of the machine."""
    failed: int

    @property
    def is_machine_full(self) -> bool:
        """Tell whether hardly a core was free: then requests a second say little of how workers add up."""
        return self.busy > 0.85 * self.available

    @property
    def is_generator_full(self) -> bool:
        """Tell whether a generator could not have asked for more."""
        return self.generator > 0.85


class Hits(Struct, frozen=True):
    """Where the answers of the last requests were found, as parts of all; `requests` were asked until then."""

    requests: int
    seconds: float
    worker: float
    node: float
    other: float
    """Answered before the policy was asked for anything."""
    failed: int = 0

    @property
    def hit(self) -> float:
        return self.worker + self.node + self.other


class Held(Struct, frozen=True):
    """One worker with open connections, some of which ask in turn."""

    connections: int
    resident: int
    """Bytes."""
    answered: int
    p50: float
    p99: float
    failed: int
    closed: int
    """Connections that the server ended."""


class Start(Struct, frozen=True):
    """A node of one worker, kernels compiled before: medians."""

    name: str
    seconds: float
    """From the command to the line `ready`."""
    slowest: float
    cpu: float
    """Seconds that all its processes had taken by then; the machine may have had other work, too."""
    own: int
    """Bytes of the worker after some thousand requests that no other process has."""
    resident: int
    """All its bytes: libraries and the node's tables, too, which workers share."""
    tables: int
    """Bytes of the node's tables."""
    around: int
    """Bytes that the processes around the worker have."""


class Risk(Struct, frozen=True):
    """One call of the risk scorer, in seconds."""

    name: str
    p50: float
    p99: float
    taken: int
    """Bytes that a call takes at most while it runs; an array alone takes more than 100."""


class Taken(Struct, frozen=True):
    """When and how a part was measured."""

    date: str
    rounds: int
    machine: str


class Report(Struct, frozen=True):
    """All of it. Parts are measured together or one at a time."""

    taken: dict[str, Taken] = {}
    direct: tuple[Direct, ...] = ()
    paced: tuple[Paced, ...] = ()
    half: tuple[Half, ...] = ()
    through: tuple[Through, ...] = ()
    stages: tuple[Cost, ...] = ()
    workers: tuple[Workers, ...] = ()
    hits: tuple[Hits, ...] = ()
    held: tuple[Held, ...] = ()
    start: tuple[Start, ...] = ()
    risk: tuple[Risk, ...] = ()
