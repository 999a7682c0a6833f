"""Limits over all replicas: one script call charges every limit of a request, and brings permits for the next ones.

A lease is charged in Redis when it is fetched, and void after `lease_time`: what replicas allow together was charged
before, and a lease can only shift *when*. It is never larger than what flows in while it lasts, so that permits which
nobody used do not add up to a refusal; a quota of a window is fetched one by one, since nothing flows back. A refusal
is kept until the moment that Redis named: a client over its limit costs no round trips.
"""

from __future__ import annotations

from hashlib import blake2b, sha1
from time import monotonic
from typing import TYPE_CHECKING

from ztag_extauthz.stores.limits.rate import NANOSECONDS, Rate
from ztag_extauthz.stores.redis import RedisSettings, RedisStore

if TYPE_CHECKING:
    from collections.abc import Sequence

SCRIPT = """
local time = redis.call('TIME')
local now = (time[1] - 1735689600) * 1000000 + time[2]
local cells = redis.call('MGET', unpack(KEYS))
local answers, values, denied = {}, {}, false
for i = 1, #KEYS do
  local at = i * 5 - 5
  local window, amount, ceiling = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local floor = now
  if window > 0 then floor = (math.floor(now / window) + 1) * window end
  local base = math.max(tonumber(cells[i] or '0'), floor)
  local room = math.floor((ceiling - (base - floor)) / amount + 0.000001)
  if room < 1 then
    answers[i] = -math.ceil(window > 0 and floor - now or math.max(1, base + amount - floor - ceiling))
    denied = denied or ARGV[at + 5] == '0'
  else
    answers[i] = math.min(room, tonumber(ARGV[at + 4]))
    values[i] = base + answers[i] * amount
  end
end
if not denied then
  for i, value in pairs(values) do
    redis.call('SET', KEYS[i], string.format('%.3f', value), 'PX', math.ceil((value - now) / 1000) + 1)
  end
end
return answers
"""
"""KEYS: a cell a limit. ARGV, five a limit: window, amount and ceiling in microseconds, permits wanted, 1 for a limit
that only looks. Answers permits, or microseconds to wait as a negative number. All or nothing, by Redis's own clock: it
counts from 2025, so that a double holds thousandths of a microsecond."""
DIGEST = sha1(SCRIPT.encode()).hexdigest()  # noqa: S324 - Redis's name for a script


class Leases:
    """Asks Redis for permits of several limits at once."""

    def __init__(self, name: str, rates: Sequence[Rate], shadows: Sequence[bool], settings: RedisSettings) -> None:
        self._store = RedisStore(settings, monotonic, f"limits of {name}")
        # One hash tag a set: its limits have to be on one node of a cluster to be charged together.
        self._tag = f"{{ztag:{name}}}:".encode()
        self._arguments = tuple(
            argument
            for rate, shadow in zip(rates, shadows, strict=True)
            for argument in (*_microseconds(rate), _lease(rate, settings), int(shadow))
        )
        self.lease_time = int(settings.lease_time * NANOSECONDS)

    @property
    def down(self) -> bool:
        return self._store.down

    def start(self) -> None:
        self._store.start()

    async def close(self) -> None:
        await self._store.close()

    async def fetch(self, keys: Sequence[str]) -> list[int]:
        """Return for each limit permits (one of them is this request's), or the microseconds to wait, negative.

        Where one limit says no, none is charged. Raises `UnavailableError`.
        """
        cells = [self._tag + blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest() for key in keys]
        answers: list[int] = await self._store.run(SCRIPT, DIGEST, cells, self._arguments)
        return answers


def share(rate: Rate, replicas: int) -> Rate:
    """Return what one of so many replicas may allow on its own."""
    if rate.fixed:
        return Rate(max(1, rate.count // replicas), rate.seconds, rate.burst, fixed=True)
    return Rate(rate.count, rate.seconds * replicas, max(1, rate.burst // replicas))


def _lease(rate: Rate, settings: RedisSettings) -> int:
    if rate.fixed:
        return 1
    return max(1, min(int(rate.burst * settings.lease), int(rate.count * settings.lease_time / rate.seconds)))


def _microseconds(rate: Rate) -> tuple[str, str, str]:
    if rate.fixed:
        return str(rate.seconds * 1_000_000), "1", str(rate.count)
    amount = rate.seconds * 1_000_000 / rate.count
    return "0", repr(amount), repr(amount * rate.burst)
