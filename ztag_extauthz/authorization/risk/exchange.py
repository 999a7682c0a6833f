"""What replicas tell each other: who failed where. Stuffing that is spread over them adds up as if there were one.

Every worker appends what it saw to a stream in Redis, and one worker of a node reads it: one script call an interval.
Only pairs of user and address that failed travel, as the keyed hashes that the nodes share, with their counts.

Rule 1: what was not written with the secret, is older than a minute, or is our own, counts for nothing.
Rule 2: everything is bounded: the pairs of an interval, the stream, what is read at once.
Rule 3: while Redis is down nobody waits, and each node knows what it sees itself.
"""

from __future__ import annotations

import secrets
from hashlib import sha1
from time import monotonic
from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct
from pydantic import Field

from ztag_extauthz.errors import UnavailableError
from ztag_extauthz.section import Seconds  # noqa: TC001 - pydantic reads it
from ztag_extauthz.stores.redis import RedisServer, RedisStore
from ztag_extauthz.stores.seal import Seal, SealError, SharedSecret, derived_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ztag_extauthz.component import Resources

SCRIPT = """
if ARGV[1] ~= '' then
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', 1000, '*', 'd', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], 60000)
end
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local answer = {newest and newest[1] or '0-0'}
local reader = redis.call('GET', KEYS[2])
if reader and reader ~= ARGV[2] then return answer end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
if ARGV[4] == '' then return answer end
local entries = redis.call('XREVRANGE', KEYS[1], '+', '(' .. ARGV[4], 'COUNT', 50)
for i = #entries, 1, -1 do answer[#answer + 1] = entries[i][2][2] end
return answer
"""
"""KEYS: the stream, and the name of the node's reader. ARGV: what to append, the worker, milliseconds for which it is
the reader, and the id up to which it has read. Answers the stream's last id and, to the reader, what came since."""
_DIGEST = sha1(SCRIPT.encode()).hexdigest()  # noqa: S324 - Redis's name for a script
_STREAM = b"{ztag:risk}:failures"
_PAIRS = 500
_COUNT = 1000
_AGE = 60.0


class ExchangeSettings(SharedSecret, RedisServer):
    """The Redis through which replicas tell each other of failures."""

    prefix: ClassVar[str] = "replicas."

    interval: Seconds = Field(default=0.5, le=30)
    """Seconds between two looks at what others saw."""


class Failures(Struct, frozen=True, forbid_unknown_fields=True):
    """What one worker saw in an interval."""

    node: str
    time: float
    """Unix seconds."""
    pairs: list[tuple[int, int, int, int]]
    """Hash of the user, hash of the address, failures, attempts."""


class Exchange:
    """One worker's part in it."""

    def __init__(
        self, settings: ExchangeSettings, resources: Resources, merge: Callable[[Sequence[Sequence[int]]], None]
    ) -> None:
        """Give `merge` what other nodes saw."""
        secret = settings.key(resources.folder)
        self.seed = derived_key(secret, b"ztag risk hashes")
        """The key of the hashes, the same on all replicas."""
        self._seal = Seal(secret, b"ztag risk", Failures)
        self._store = RedisStore(settings, monotonic, "risk")
        self._node = resources.memory("risk-node", 16, secrets.token_bytes(16)).hex()
        self._worker = secrets.token_hex(8)
        self._lease = max(1000, int(settings.interval * 4000))
        self._clock, self._merge, self._meter = resources.clock, merge, resources.meter
        self._results = {
            result: resources.meter.series("ztag_risk_exchange", result)
            for result in ("sent", "received", "refused", "error")
        }
        self._seen: dict[tuple[int, int], list[int]] = {}
        self._read = ""

    def note(self, user: int, address: int, *, failed: bool) -> None:
        """Take note of an attempt; what never fails is nobody else's business."""
        pair = self._seen.get((user, address))
        if pair is not None:
            pair[0] += failed
            pair[1] += 1
        elif failed and len(self._seen) < _PAIRS:
            self._seen[user, address] = [1, 1]

    async def turn(self) -> None:
        """Tell what was seen since the last turn, and hear what others saw."""
        seen, self._seen = self._seen, {}
        pairs = [(*pair, min(_COUNT, failed), min(_COUNT, tried)) for pair, (failed, tried) in seen.items()]
        told = self._seal.write(Failures(self._node, self._clock(), pairs)).decode() if pairs else ""
        keys = [_STREAM, b"{ztag:risk}:reader:" + self._node.encode()]
        try:
            last, *entries = await self._store.run(SCRIPT, _DIGEST, keys, [told, self._worker, self._lease, self._read])
        except UnavailableError:
            self._meter.add(self._results["error"])
            return
        self._read = last.decode()
        if told:
            self._meter.add(self._results["sent"])
        for entry in entries:
            self._hear(entry)

    def _hear(self, entry: bytes) -> None:
        try:
            failures = self._seal.read(entry)
        except SealError:
            self._meter.add(self._results["refused"])
            return
        if failures.node == self._node or not failures.pairs:
            return
        if abs(self._clock() - failures.time) > _AGE:
            self._meter.add(self._results["refused"])
            return
        self._meter.add(self._results["received"])
        self._merge(failures.pairs)

    async def close(self) -> None:
        await self._store.close()
