"""Concurrency limits: how many requests of a kind may be under way.

Rule 1: a request takes a place of every limit of a set or of none.
Rule 2: it gives its places back when it ends, as Envoy's access log tells; what they are travels with the request as a
note, so that any worker may hear of it. A place that nobody gives back is free again after `longest`.
Rule 3: on one node the count is exact over all workers; with Redis over all replicas (see `replicated_semaphores`).
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from contextlib import suppress
from typing import TYPE_CHECKING

from pydantic import Field

from ztag_extauthz.model import Deny, Identity, Pairs, Reason, Request, Stage
from ztag_extauthz.section import Seconds, Section
from ztag_extauthz.stores.digest import hasher
from ztag_extauthz.stores.limits.plan import ALLOWED, COLUMNS, DENIED, HELD, LONGEST, PLACES, SEED, SHADOW, TAG, UNTIL
from ztag_extauthz.stores.limits.rate import NANOSECONDS
from ztag_extauthz.stores.limits.rate_limits import LimitsSettings, key_of, table
from ztag_extauthz.structured import write_item
from ztag_extauthz.traits import PartName

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from ztag_extauthz.component import Resources


class ConcurrencySettings(Section):
    """How many requests may be under way at the same time."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    """What clients and operators call it: the policy's name in the `RateLimit` headers."""
    limit: int = Field(ge=1, le=1000)
    """Requests at the same time."""
    by: tuple[PartName, ...] = Field(min_length=1)
    """What is counted together; the same names as in `limits`."""
    longest: Seconds = Field(default=300.0, le=86_400.0)
    """Seconds after which a request counts as ended, whatever Envoy tells: longer than the slowest may take."""
    shadow: bool = False
    """Count and report, refuse nothing."""


class Semaphores:
    """The concurrency limits of one stage, over all workers of this node."""

    def __init__(self, limits: Sequence[ConcurrencySettings], common: LimitsSettings, resources: Resources) -> None:
        """Take how keys are made, and what a refusal shows, from `common`, the section around the limits."""
        from ztag_extauthz.stores.kernels import warm  # noqa: PLC0415 - numba: only where limits are set

        warm("ztag_extauthz.stores.limits.semaphore")
        from ztag_extauthz.stores.limits import semaphore as kernels  # noqa: PLC0415 - likewise

        self._limits, self._style = limits, common.headers
        self._clock, self._meter = resources.clock, resources.meter
        self._denied, self._shadowed = (
            self._meter.series("ztag_limits", Stage.AUTHORIZATION, result) for result in ("denied", "shadow")
        )
        self._moves = {move: self._meter.series("ztag_places", move) for move in ("taken", "returned")}
        self._table = table(resources.memory, "places", common.keys)
        self._digest = hasher(self._table[SEED : SEED + 4].tobytes())
        self._keys = tuple(key_of(limit.name, limit.by, common.trusted_proxies) for limit in limits)
        self._plan = self._local_plan(1 if common.redis is None else common.redis.replicas)
        self._hold, self._drop = kernels.hold, kernels.drop

    def _local_plan(self, replicas: int) -> np.ndarray:
        import numpy as np  # noqa: PLC0415 - heavy, and only needed where limits are set

        plan = np.zeros((len(self._limits), COLUMNS), np.int64)
        plan[:, PLACES] = [max(1, limit.limit // replicas) for limit in self._limits]
        plan[:, LONGEST] = [int(limit.longest * NANOSECONDS) for limit in self._limits]
        plan[:, SHADOW] = [limit.shadow for limit in self._limits]
        return plan

    async def take(self, request: Request, identity: Identity) -> str | Deny:
        """Take a place of every limit and return the note that gives them back, or why there is none."""
        return self.take_here(request, identity)

    def take_here(self, request: Request, identity: Identity) -> str | Deny:
        """Take the places on this node."""
        self._plan[:, TAG] = [self._digest(key(request, identity)) for key in self._keys]
        row = self._hold(self._table, self._plan, int(self._clock() * NANOSECONDS))
        if row != ALLOWED:
            return self._refused(row)
        if self._plan[:, DENIED].any():
            self._meter.add(self._shadowed)
        self._meter.add(self._moves["taken"])
        return b64encode(self._plan[:, (HELD, UNTIL)].tobytes()).decode()

    def give_back(self, note: str) -> None:
        """Give the places back that a note names; one that is not ours, or came before, changes nothing."""
        import numpy as np  # noqa: PLC0415 - heavy, and only needed where limits are set

        with suppress(ValueError):
            pairs = np.frombuffer(b64decode(note, validate=True), np.int64).reshape(-1, 2).tolist()
            returned = [self._drop(self._table, held, until) for held, until in pairs if held]
            if any(returned):
                self._meter.add(self._moves["returned"])

    def start(self) -> None:
        """Begin to reach out of this node: nowhere."""

    async def close(self) -> None:
        """Close what reaches out of this node: nothing."""

    def _refused(self, row: int) -> Deny:
        self._meter.add(self._denied)
        limit = self._limits[row]
        return Deny(
            Reason.RATE_LIMITED, f"limit {limit.name}: {limit.limit} at the same time", headers=self._headers(limit)
        )

    def _headers(self, limit: ConcurrencySettings) -> Pairs:
        """Nobody knows when a place will be free: a second is the shortest that a client can be told."""
        again = ("retry-after", "1")
        if self._style == "draft":
            policy = write_item((limit.name, {"q": limit.limit, "qu": "concurrent-requests"}))
            return again, ("ratelimit-policy", policy), ("ratelimit", write_item((limit.name, {"r": 0})))
        if self._style == "legacy":
            shown = ("x-ratelimit-limit", str(limit.limit))
            return again, shown, ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1")
        return (again,)


def semaphores(limits: Sequence[ConcurrencySettings], common: LimitsSettings, resources: Resources) -> Semaphores:
    """Build concurrency limits: of this node, or of all replicas where there is a Redis."""
    if common.redis is None:
        return Semaphores(limits, common, resources)
    from ztag_extauthz.stores.limits.replicated_semaphores import ReplicatedSemaphores  # noqa: PLC0415 - an extra

    return ReplicatedSemaphores(limits, common, resources)
