"""Concurrency limits over all replicas: a sorted set a key in Redis, whose members are requests and their ends.

One script call takes a place of every limit of a request, another one gives them back; so a request costs two round
trips, and nobody waits for the second. While Redis is down each node enforces its share, and gives back what it took
itself; what was taken in Redis meanwhile is free again after `longest`.
"""

from __future__ import annotations

import asyncio
import secrets
from base64 import b64decode, b64encode
from contextlib import suppress
from hashlib import blake2b, sha1
from time import monotonic
from typing import TYPE_CHECKING

from ztag_extauthz.errors import UnavailableError
from ztag_extauthz.stores.limits.concurrency import ConcurrencySettings, Semaphores
from ztag_extauthz.stores.redis import RedisStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ztag_extauthz.component import Resources
    from ztag_extauthz.model import Deny, Identity, Request
    from ztag_extauthz.stores.limits.rate_limits import LimitsSettings

TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local free, shadowed = {}, 0
for i = 1, #KEYS do
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now)
  free[i] = redis.call('ZCARD', KEYS[i]) < tonumber(ARGV[i * 3 - 1])
  if not free[i] then
    if ARGV[i * 3 + 1] == '0' then return i end
    shadowed = -1
  end
end
for i = 1, #KEYS do
  if free[i] then
    redis.call('ZADD', KEYS[i], now + ARGV[i * 3], ARGV[1])
    redis.call('PEXPIRE', KEYS[i], ARGV[i * 3])
  end
end
return shadowed
"""
"""KEYS: a set a limit. ARGV: the request, then three a limit: places, milliseconds of the longest request, 1 for one
that only looks. Answers the limit that has no place left, from 1; else 0, or -1 where one only looked. By Redis's own
clock, so that replicas need not agree on the time."""
GIVE_BACK = """
local given = 0
for i = 1, #KEYS do given = given + redis.call('ZREM', KEYS[i], ARGV[1]) end
return given
"""
_TAKE, _GIVE_BACK = (sha1(script.encode()).hexdigest() for script in (TAKE, GIVE_BACK))  # noqa: S324 - Redis's names
_REMOTE = "@"
"""What the note of a request begins with whose places are in Redis: nothing that base64 knows."""
_SIZE = 16
"""Bytes of a request's name, and of a key's."""
_MOST = 1000
"""Answers of Redis that are awaited at the same time; places beyond it come back after `longest`."""


class ReplicatedSemaphores(Semaphores):
    """The concurrency limits of one stage, over all replicas."""

    def __init__(self, limits: Sequence[ConcurrencySettings], common: LimitsSettings, resources: Resources) -> None:
        super().__init__(limits, common, resources)
        if common.redis is None:
            raise ValueError("limits over replicas need `redis`")
        self._store = RedisStore(common.redis, monotonic, "limits of concurrency")
        self._arguments = tuple(
            number for limit in limits for number in (limit.limit, max(1, int(limit.longest * 1000)), int(limit.shadow))
        )
        self._fallbacks = self._meter.series("ztag_limit_fallbacks")
        self._tasks: set[asyncio.Task[None]] = set()

    async def take(self, request: Request, identity: Identity) -> str | Deny:
        """Take a place of every limit and return the note that gives them back, or why there is none."""
        keys = [
            blake2b(key(request, identity).encode("utf-8", "surrogatepass"), digest_size=_SIZE).digest()
            for key in self._keys
        ]
        name = secrets.token_bytes(_SIZE)
        try:
            answer = int(await self._store.run(TAKE, _TAKE, [*map(_cell, keys)], [name.hex(), *self._arguments]))
        except UnavailableError:
            self._meter.add(self._fallbacks)
            return self.take_here(request, identity)
        if answer > 0:
            return self._refused(answer - 1)
        if answer < 0:
            self._meter.add(self._shadowed)
        self._meter.add(self._moves["taken"])
        return _REMOTE + b64encode(b"".join((name, *keys))).decode()

    def give_back(self, note: str) -> None:
        """Give the places back that a note names, in Redis without waiting for it."""
        if not note.startswith(_REMOTE):
            super().give_back(note)
            return
        with suppress(ValueError):
            names = b64decode(note[len(_REMOTE) :], validate=True)
            name, *keys = (names[start : start + _SIZE] for start in range(0, len(names), _SIZE))
            if len(keys) == len(self._keys) and len(self._tasks) < _MOST:
                task = asyncio.get_running_loop().create_task(self._return(name, keys))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _return(self, name: bytes, keys: Sequence[bytes]) -> None:
        with suppress(UnavailableError):
            given = int(await self._store.run(GIVE_BACK, _GIVE_BACK, [*map(_cell, keys)], [name.hex()]))
            if given:
                self._meter.add(self._moves["returned"])

    def start(self) -> None:
        """Connect to Redis in the background."""
        self._store.start()

    async def close(self) -> None:
        """Wait for what is being given back, and close the connections to Redis."""
        await asyncio.gather(*self._tasks)
        await self._store.close()


def _cell(key: bytes) -> bytes:
    # One hash tag: the limits of a request have to be on one node of a cluster to be taken together.
    return b"{ztag:places}:" + key
