"""The limits of one stage over all replicas: a leased permit, else Redis, else this node's share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ztag_extauthz.errors import UnavailableError
from ztag_extauthz.stores.limits import table as kernels
from ztag_extauthz.stores.limits.leases import Leases, share
from ztag_extauthz.stores.limits.plan import ALLOWED, ASK, DENIED, LEFT, SHADOW, TAG, WAIT, plan_of
from ztag_extauthz.stores.limits.rate import NANOSECONDS
from ztag_extauthz.stores.limits.rate_limits import Limits, LimitsSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from ztag_extauthz.component import Resources
    from ztag_extauthz.model import Deny, Identity, Request

LEASE = 0x5A5A_5A5A_5A5A_5A5A
"""A key's lease is another cell than the count of the node's share."""


class ReplicatedLimits(Limits):
    """Most requests are answered by what Redis granted or refused a moment ago."""

    def __init__(self, settings: LimitsSettings, resources: Resources, stage: str) -> None:
        if settings.redis is None:
            raise ValueError("limits over replicas need `redis`")
        self._replicas = settings.redis.replicas
        super().__init__(settings, resources, stage)
        self._leases = Leases(stage, self._rates, self._shadows, settings.redis)
        self._longest = max(self._leases.lease_time, *(max(one.window, one.amount) for one in self._rates))
        self._fallbacks = self._meter.series("ztag_limit_fallbacks")

    def _local_plan(self) -> np.ndarray:
        return plan_of([share(one, self._replicas) for one in self._rates], self._shadows)

    def again(self, request: Request, identity: Identity | None = None) -> None:
        """Return None: Redis may have to be waited for."""

    async def refuse(self, request: Request, identity: Identity | None = None) -> Deny | None:
        """Charge the request to every limit, or return why not."""
        keys = [key(request, identity) for key in self._keys]
        plan = plan_of(self._rates, self._shadows)  # its own: another request may come while this one waits for Redis
        plan[:, TAG] = [self._digest(key) ^ LEASE for key in keys]
        row = kernels.spend(self._table, plan, self._now(), self._longest)
        if row == ASK:
            try:
                row = await self._ask(keys, plan)
            except UnavailableError:
                self._meter.add(self._fallbacks)
                return self.check(request, identity)
        return self._answer(row, plan)

    async def _ask(self, keys: Sequence[str], plan: np.ndarray) -> int:
        answers = await self._leases.fetch(keys)
        refused = ALLOWED
        for row, answer in enumerate(answers):
            plan[row, DENIED] = answer < 0
            plan[row, WAIT] = -answer * 1000 if answer < 0 else self._leases.lease_time
            plan[row, LEFT] = max(0, answer - 1)
            if answer < 0 and not plan[row, SHADOW] and (refused == ALLOWED or plan[row, WAIT] > plan[refused, WAIT]):
                refused = row
        # Where one limit refused, Redis charged none: there is a refusal to keep, but no permit.
        kept = plan if refused == ALLOWED else plan[refused : refused + 1]
        kernels.settle(self._table, kept, self._now())
        return refused

    def _now(self) -> int:
        return int(self._clock() * NANOSECONDS)

    def start(self) -> None:
        """Connect to Redis in the background."""
        self._leases.start()

    async def close(self) -> None:
        """Close the connections to Redis."""
        await self._leases.close()
