"""Answers that all replicas share, in Redis.

Rule 1: nobody waits for a Redis that is down, nor for one that is late.
Rule 2: what Redis says is believed only with our tag, for this question, and within its life (see `records`).
Rule 3: while invalidations are not heard, nothing is taken from Redis and nothing put there.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic

from ztag_extauthz.authorization.cache.interface import FarAnswers
from ztag_extauthz.authorization.cache.records import Damage, Records
from ztag_extauthz.authorization.cache.settings import CacheRedisSettings
from ztag_extauthz.component import Resources, cancelled
from ztag_extauthz.errors import UnavailableError
from ztag_extauthz.stores.seal import derived_key
from ztag_extauthz.stores.values import RedisValues

PREFIX = b"ztag:answer:"
WAITING = 1024
"""Answers that wait to be written, at most."""
TOGETHER = 64
"""Answers that are written at once, at most."""
_LARGEST = 1 << 16
"""Bytes of an answer that is worth keeping: a larger one costs more on the way than to make it again."""


class Replicas(FarAnswers):
    """Asks for each question once, for all questions of one moment together, and writes in the background."""

    def __init__(self, settings: CacheRedisSettings, hears: Callable[[], bool], resources: Resources) -> None:
        """`hears` says whether invalidations are heard. Raises `SettingsError` where there is no secret."""
        secret, meter = settings.key(resources.folder), resources.meter
        self.values = RedisValues(settings, "cache")
        self._secret = derived_key(secret, b"ztag questions")
        self._records = Records(secret)
        self._timeout = settings.timeout
        self._hears = hears
        self._clock = resources.clock
        self._meter = meter
        results = ("hit", "miss", "down", "unheard", "late", *Damage)
        self._results = {result: meter.series("ztag_cache_redis", result) for result in results}
        self._seconds = meter.series("ztag_cache_redis_seconds")
        self._kept, self._refused, self._dropped = (
            meter.series("ztag_cache_redis_writes", result) for result in ("kept", "refused", "dropped")
        )
        self._wanted: list[bytes] = []
        self._flights: dict[bytes, asyncio.Future[bytes | None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._queue: deque[tuple[bytes, bytes, float]] = deque()
        self._writing = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    @property
    def secret(self) -> bytes:
        return self._secret

    async def start(self) -> None:
        self.values.start()
        self._writer = asyncio.create_task(self._write_on(), name="cache writes")

    async def close(self) -> None:
        await cancelled(self._writer, *self._tasks)
        await self.values.close()

    async def get(self, digest: bytes, deadline: float) -> bytes | None:
        why = self._why_not(deadline)
        if why:
            self._count(why)
            return None
        flight = self._flights.get(digest)
        if flight is None:
            loop = asyncio.get_running_loop()
            flight = self._flights[digest] = loop.create_future()
            if not self._wanted:
                loop.call_soon(self._depart)
            self._wanted.append(digest)
        # Others may be on the same flight: who leaves does not end it.
        return await asyncio.shield(flight)

    def _why_not(self, deadline: float) -> str:
        if not self.values.up:
            return "down"
        if not self._hears():
            return "unheard"
        return "late" if deadline - monotonic() < 2 * self._timeout else ""

    def _depart(self) -> None:
        """Ask for all that is wanted by now."""
        wanted, self._wanted = self._wanted, []
        task = asyncio.create_task(self._fetch(wanted), name="cache reads")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fetch(self, digests: Sequence[bytes]) -> None:
        began = monotonic()
        found: list[bytes | None] = [None] * len(digests)
        try:
            records = await self.values.get([PREFIX + digest for digest in digests])
            self._meter.observe(self._seconds, monotonic() - began)
            now = self._clock()
            found = [self._read(digest, record, now) for digest, record in zip(digests, records, strict=True)]
        except UnavailableError:
            self._count("down", len(digests))
        finally:
            for digest, value in zip(digests, found, strict=True):
                self._flights.pop(digest).set_result(value)

    def _read(self, digest: bytes, record: bytes | None, now: float) -> bytes | None:
        if record is None:
            self._count("miss")
            return None
        value = self._records.read(digest, record, now)
        if isinstance(value, Damage):
            self._count(value)
            return None
        self._count("hit")
        return value

    def put(self, digest: bytes, value: bytes, lifetime: float) -> None:
        if not self.values.up or not self._hears() or len(self._queue) >= WAITING or len(value) > _LARGEST:
            self._meter.add(self._dropped)
            return
        self._queue.append((digest, value, self._clock() + lifetime))
        self._writing.set()

    async def _write_on(self) -> None:
        while True:
            await self._writing.wait()
            self._writing.clear()
            while self._queue:
                await self._write([self._queue.popleft() for _ in range(min(TOGETHER, len(self._queue)))])

    async def _write(self, answers: Sequence[tuple[bytes, bytes, float]]) -> None:
        now = self._clock()
        items = [
            (PREFIX + digest, self._records.write(digest, value, expires_at), int((expires_at - now) * 1000) or 1)
            for digest, value, expires_at in answers
            if expires_at > now
        ]
        try:
            kept = await self.values.put(items) if items else 0
        except UnavailableError:
            self._meter.add(self._dropped, len(answers))
            return
        self._meter.add(self._kept, kept)
        self._meter.add(self._refused, len(items) - kept)
        self._meter.add(self._dropped, len(answers) - len(items))

    def _count(self, result: str, times: int = 1) -> None:
        self._meter.add(self._results[result], times)
