"""Limits of one stage: their settings, their keys, and the refusal that tells a client when to come again.

Rule 1: a request is charged to every limit of a set or to none.
Rule 2: on one node the count is exact over all workers; with Redis over all replicas (see `replicated_limits`).
Rule 3: while Redis is down each node enforces its share, and `ztag_limit_fallbacks` counts it.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from ztag_extauthz.again import UNLIKE_HEADERS, Again
from ztag_extauthz.model import Deny, Identity, Pairs, Reason, Request
from ztag_extauthz.section import Section
from ztag_extauthz.stores.digest import hasher
from ztag_extauthz.stores.limits import rate
from ztag_extauthz.stores.limits.plan import ALLOWED, COLUMNS, DENIED, SEED, TAG, WAIT, plan_of, words
from ztag_extauthz.stores.limits.rate import NANOSECONDS, RateText
from ztag_extauthz.stores.redis import RedisSettings
from ztag_extauthz.structured import write_item, write_list
from ztag_extauthz.traits import Part, PartName, TrustedProxies, part

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from ztag_extauthz.component import Memory, Resources

SEPARATOR = "\x1f"


class LimitSettings(Section):
    """One limit."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    """What clients and operators call it: the policy's name in the `RateLimit` headers."""
    limit: RateText
    """An even flow: `100/minute burst 10` lets ten through at once after a pause, then one every 0.6 s. Without `burst`
    the whole count may come at once: `5/second` lets 5 through, then one every 0.2 s, so up to 9 in the first second;
    `burst 1` is a strict flow. A quota: with `fixed`, as `5000/day fixed`, the count is that of a window of the clock
    (UTC), which then begins anew. `10 per 5 seconds`, `10 a minute` and `5/s` are read, too; the units are second,
    minute, hour and day, or `s`, `m`, `h` and `d`."""
    by: tuple[PartName, ...] = Field(min_length=1)
    """What is counted together: `address`, `method`, `host`, `path`, `route`, `principal`, `header:NAME`,
    `extension:NAME`, and after authentication `subject`, `issuer`, `kind`, `claim:NAME`. Requests without a part share
    one count."""
    shadow: bool = False
    """Count and report, refuse nothing."""


class LimitsSettings(Section):
    """Limits that are charged together."""

    limits: tuple[LimitSettings, ...] = Field(min_length=1, max_length=16)
    """Every one has to allow; a request that is refused is charged to none."""
    trusted_proxies: TrustedProxies = 0
    """Entries at the end of `x-forwarded-for` that proxies of yours wrote, Envoy among them where it appends its peer
    (`use_remote_address`); the first of those is the client. 0: the peer of the connection is the client."""
    headers: Literal["draft", "legacy", "none"] = "draft"
    """On a refusal: `RateLimit` and `RateLimit-Policy` (IETF draft), or the older `X-RateLimit-*` trio. `Retry-After`
    always is there."""
    keys: int = Field(default=1 << 17, ge=1 << 10, le=1 << 24)
    """Keys that are counted at the same time (32 bytes each); beyond it the one nearest to its end is forgotten."""
    redis: RedisSettings | None = None
    """Count over all replicas; left out: over the workers of this node."""

    @model_validator(mode="after")
    def _names_differ(self) -> LimitsSettings:
        names = [limit.name for limit in self.limits]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two limits have the name {', '.join(twice)}: give each its own")
        return self


class Limits:
    """The limits of one stage, over all workers of this node."""

    def __init__(self, settings: LimitsSettings, resources: Resources, stage: str) -> None:
        from ztag_extauthz.stores.kernels import warm  # noqa: PLC0415 - numba: only where limits are set

        warm("ztag_extauthz.stores.limits.table")
        from ztag_extauthz.stores.limits import table as kernels  # noqa: PLC0415 - likewise

        self._settings = settings
        self._clock = resources.clock
        self._meter = resources.meter
        self._allowed, self._denied, self._shadowed = (
            self._meter.series("ztag_limits", stage, result) for result in ("allowed", "denied", "shadow")
        )
        self._rates = tuple(rate.parse(limit.limit) for limit in settings.limits)
        self._shadows = tuple(limit.shadow for limit in settings.limits)
        self._table = table(resources.memory, f"limits-{stage}", settings.keys)
        self._digest = hasher(self._table[SEED : SEED + 4].tobytes())
        self._keys = tuple(key_of(limit.name, limit.by, settings.trusted_proxies) for limit in settings.limits)
        self._recurs = not any(
            f"header:{name}" in map(str.lower, limit.by) for limit in settings.limits for name in UNLIKE_HEADERS
        )
        self._plan = self._local_plan()
        self._cells = memoryview(self._plan.data).cast("B").cast("q")
        self._places = tuple((row * COLUMNS + TAG, key) for row, key in enumerate(self._keys))
        self._take: Callable[[np.ndarray, np.ndarray, int], int] = kernels.take

    def _local_plan(self) -> np.ndarray:
        return plan_of(self._rates, self._shadows)

    async def refuse(self, request: Request, identity: Identity | None = None) -> Deny | None:
        """Charge the request to every limit, or return why not."""
        return self.check(request, identity)

    def start(self) -> None:
        """Begin to reach out of this node: nowhere."""

    async def close(self) -> None:
        """Close what reaches out of this node: nothing."""

    def check(self, request: Request, identity: Identity | None = None) -> Deny | None:
        """Charge the request on this node, or return why not."""
        cells, digest = self._cells, self._digest
        for place, key in self._places:
            cells[place] = digest(key(request, identity))
        return self._charge(self._clock())

    def again(self, request: Request, identity: Identity | None = None) -> Again | None:
        """Return what charges requests like this one; None where a key is made of what differs each time."""
        if not self._recurs:
            return None
        cells = self._cells
        tags = [(place, self._digest(key(request, identity))) for place, key in self._places]

        def count(now: float) -> Deny | None:
            for place, tag in tags:
                cells[place] = tag
            return self._charge(now)

        return Again(count=count)

    def _charge(self, now: float) -> Deny | None:
        row = self._take(self._table, self._plan, int(now * NANOSECONDS))
        return self._answer(row, self._plan)

    def _answer(self, row: int, plan: np.ndarray) -> Deny | None:
        """Count what the kernel said, and put a refusal into words."""
        if any(self._shadows) and any(plan[self._shadows, DENIED]):
            self._meter.add(self._shadowed)
        if row == ALLOWED:
            self._meter.add(self._allowed)
            return None
        self._meter.add(self._denied)
        limit = self._settings.limits[row]
        wait = max(1, -(-int(plan[row, WAIT]) // NANOSECONDS))
        return Deny(Reason.RATE_LIMITED, f"limit {limit.name}: {limit.limit}", headers=self._headers(row, wait))

    def _headers(self, row: int, wait: int) -> Pairs:
        again = ("retry-after", str(wait))
        if self._settings.headers == "draft":
            pairs = zip(self._settings.limits, self._rates, strict=True)
            policies = [(limit.name, {"q": one.count, "w": one.seconds}) for limit, one in pairs]
            left = write_item((self._settings.limits[row].name, {"r": 0, "t": wait}))
            return again, ("ratelimit-policy", write_list(policies)), ("ratelimit", left)
        if self._settings.headers == "legacy":
            limit = ("x-ratelimit-limit", str(self._rates[row].count))
            return again, limit, ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", str(wait))
        return (again,)


def limits(settings: LimitsSettings, resources: Resources, stage: Literal["admission", "authorization"]) -> Limits:
    """Build the limits of a stage: of this node, or of all replicas where there is a Redis."""
    if settings.redis is None:
        return Limits(settings, resources, stage)
    from ztag_extauthz.stores.limits.replicated_limits import ReplicatedLimits  # noqa: PLC0415 - an extra

    return ReplicatedLimits(settings, resources, stage)


def table(memory: Memory, name: str, keys: int) -> np.ndarray:
    """Return the shared table of that many keys, with a random key for its hash."""
    import numpy as np  # noqa: PLC0415 - heavy, and only needed where limits are set

    seed = bytes(8 * SEED) + secrets.token_bytes(32)
    return np.frombuffer(memory(name, 8 * words(keys), seed), np.int64)


def key_of(name: str, by: Sequence[str], trusted_proxies: int) -> Part:
    """Return the function that makes the key of the limit `name`; no part can reach into its neighbour."""
    prefix = name + SEPARATOR
    parts = tuple(part(one, trusted_proxies) for one in by)
    if len(parts) == 1:
        only = parts[0]
        return lambda request, identity: prefix + only(request, identity)
    return lambda request, identity: (
        prefix + SEPARATOR.join([one(request, identity).replace(SEPARATOR, " ") for one in parts])
    )
