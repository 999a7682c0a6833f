"""Revocations in Redis: numbered, so that whoever missed some asks for those since the last it saw.

A Redis that lost them (it was restarted empty, or from an older copy) is recognised by another epoch or a lower number;
whoever notices gives back all that it knows.
"""

from collections.abc import Callable, Sequence
from hashlib import sha1
from secrets import token_hex
from typing import Any

from msgspec import Struct

from ztag_extauthz.revocation.entries import Revocation, Seal
from ztag_extauthz.revocation.settings import RevocationSettings
from ztag_extauthz.stores.redis import RedisStore

# One hash tag: in a cluster all three are on one node.
_KEYS = (b"{ztag:revocations}", b"{ztag:revocations}:number", b"{ztag:revocations}:epoch")
_NEW = """
local epoch = redis.call('GET', KEYS[3])
if not epoch then epoch = ARGV[1] redis.call('SET', KEYS[3], epoch) end
local from = ARGV[3]
local number = tonumber(redis.call('GET', KEYS[2]) or '0')
if epoch ~= ARGV[2] or number < tonumber(from) then from = '0' end
return {epoch, number, redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. from, '+inf')}
"""
_ADD = """
for place = 1, #ARGV do redis.call('ZADD', KEYS[1], redis.call('INCR', KEYS[2]), ARGV[place]) end
return redis.call('GET', KEYS[2])
"""
_DROP = "return redis.call('ZREM', KEYS[1], unpack(ARGV))"


class News(Struct, frozen=True):
    """What is new in Redis."""

    entries: tuple[bytes, ...]
    lost: bool
    """Redis does not have what it had."""


class Feed:
    """Reads on where it stopped. All methods raise `UnavailableError`."""

    def __init__(self, settings: RevocationSettings, monotonic: Callable[[], float]) -> None:
        self._store = RedisStore(settings.redis, monotonic)
        self.seal = Seal(settings.secret.get_secret_value().encode())
        self._epoch, self._number = b"", 0

    async def news(self) -> News:
        """Return what came since the last call; all there is, the first time and where Redis lost something."""
        epoch, number, entries = await self._run(_NEW, token_hex(8), self._epoch.decode(), self._number)
        lost = bool(self._epoch) and (epoch != self._epoch or number < self._number)
        self._epoch, self._number = epoch, number
        return News(tuple(entries), lost)

    async def add(self, entries: Sequence[Revocation]) -> None:
        """Tell everybody."""
        if entries:
            await self._run(_ADD, *map(self.seal.write, entries))

    async def drop(self, entries: Sequence[Revocation]) -> None:
        """Forget what is over."""
        if entries:
            await self._run(_DROP, *map(self.seal.write, entries))

    async def close(self) -> None:
        await self._store.close()

    async def _run(self, script: str, *arguments: Any) -> Any:
        digest = sha1(script.encode(), usedforsecurity=False).hexdigest()
        return await self._store.run(script, digest, _KEYS, arguments)
