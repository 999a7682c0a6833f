"""The keys of one issuer, as they are now: read once, or fetched again and again.

A fetch goes on in a thread; there is one at a time, however many requests wait for it. While the server is down the
last keys serve for `max_stale` seconds.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from random import uniform
from time import monotonic
from typing import TYPE_CHECKING

from msgspec import Struct

from ztag_extauthz.component import Readiness, Resources, cancelled
from ztag_extauthz.errors import DeadlineError, UnavailableError
from ztag_extauthz.fetch import Fetched, in_daemon

if TYPE_CHECKING:
    from ztag_extauthz.authentication.jose.key_set import KeySet

LOG = logging.getLogger("ztag.keys")
FIRST_PAUSE = 0.5
"""Seconds before the second attempt where there are no keys yet; the pause doubles up to `cool_down`."""
UNKNOWN_WAITING = 32
"""Requests with an unknown key that wait for newer keys; more are refused at once, as anybody can invent a key's name,
and whoever waits holds a place that others need."""
UNKNOWN_PART = 0.5
"""The part of the time left that a request with an unknown key waits at most; then it is refused."""


class KeySource(ABC):
    """Has the key set of one issuer."""

    keys: "KeySet | None" = None
    """The set in force; None while there is none. Another document is another object."""

    @abstractmethod
    async def start(self) -> None:
        """Begin to keep the keys fresh."""

    @abstractmethod
    async def close(self) -> None:
        """End what `start` began."""

    @abstractmethod
    async def first(self, deadline: float) -> "KeySet":
        """Return the keys. Raises `UnavailableError` or `DeadlineError` where there are none by the deadline."""

    @abstractmethod
    async def renewed(self, deadline: float) -> None:
        """Look for newer keys, if it may be done again already. Returns before the deadline, and never raises."""

    @abstractmethod
    def readiness(self) -> Readiness: ...


class FileKeys(KeySource):
    """Keys that were read when the settings were."""

    def __init__(self, name: str, keys: "KeySet", read_at: float) -> None:
        self.keys = keys
        self._readiness = Readiness(name, ready=True, updated_at=read_at)
        self._keys = keys

    async def start(self) -> None:
        """Nothing to keep fresh."""

    async def close(self) -> None:
        """Nothing was begun."""

    async def first(self, deadline: float) -> "KeySet":  # noqa: ARG002
        return self._keys

    async def renewed(self, deadline: float) -> None:
        """Wait for nothing: a file is read again with the settings only."""

    def readiness(self) -> Readiness:
        return self._readiness


class Schedule(Struct, frozen=True):
    """When keys are fetched, in seconds."""

    refresh: float
    cool_down: float
    max_stale: float

    def pause(self, max_age: float | None) -> float:
        """Return the time until the next fetch; workers that began together drift apart."""
        wanted = self.refresh if max_age is None else min(max_age, self.refresh)
        return max(self.cool_down, wanted) * uniform(0.9, 1.0)  # noqa: S311 - no secret


class RemoteKeys(KeySource):
    """Keys that are fetched, and fetched again."""

    def __init__(
        self,
        name: str,
        get: Callable[[], Fetched],
        read: "Callable[[bytes], KeySet]",
        schedule: Schedule,
        resources: Resources,
    ) -> None:
        """`get` blocks and may raise `FetchError`; `read` may raise `KeySetError`."""
        self._name = name
        self._get = get
        self._read = read
        self._schedule = schedule
        self._clock = resources.clock
        self._count = resources.meter.add
        self._ok = resources.meter.series("ztag_key_fetches", "ok")
        self._error = resources.meter.series("ztag_key_fetches", "error")
        self._flight: asyncio.Task[None] | None = None
        self._loop: asyncio.Task[None] | None = None
        self._unknown = 0
        self._updated_at = 0.0
        self._next_allowed = 0.0
        self._pause = schedule.cool_down
        self._failures = 0
        self._why = "not fetched yet"

    async def start(self) -> None:
        self._loop = asyncio.create_task(self._keep_fresh(), name=self._name)

    async def close(self) -> None:
        await cancelled(self._loop, self._flight)

    def readiness(self) -> Readiness:
        self._drop_stale()
        return Readiness(self._name, self.keys is not None, self._why, self._updated_at)

    async def first(self, deadline: float) -> "KeySet":
        if self.keys is None and not await self._wait(deadline):
            raise DeadlineError(f"{self._name}: the first fetch takes longer than the request may")
        if self.keys is None:
            raise UnavailableError(f"{self._name}: {self._why}")
        return self.keys

    async def renewed(self, deadline: float) -> None:
        if self._unknown >= UNKNOWN_WAITING:
            return
        self._unknown += 1
        now = monotonic()
        try:
            await self._wait(now + (deadline - now) * UNKNOWN_PART)
        finally:
            self._unknown -= 1

    async def _wait(self, deadline: float) -> bool:
        """Join the fetch in flight, or begin one if the last is long enough ago; return whether it ended in time."""
        if self._flight is None and self._clock() >= self._next_allowed:
            self._begin()
        if self._flight is None:
            return True
        done, _ = await asyncio.wait({self._flight}, timeout=max(0.0, deadline - monotonic()))
        return bool(done)

    def _begin(self) -> asyncio.Task[None]:
        if self._flight is None:
            self._flight = asyncio.create_task(self._fly(), name=f"fetch {self._name}")
        return self._flight

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.wait({self._begin()})
            self._drop_stale()
            await asyncio.sleep(self._pause)

    async def _fly(self) -> None:
        try:
            fetched = await in_daemon(self._get)
            self._take(fetched)
        except Exception as error:  # noqa: BLE001 - whatever came over the network, the loop goes on
            self._miss(str(error) or type(error).__name__)
        finally:
            self._flight = None

    def _take(self, fetched: Fetched) -> None:
        if self.keys is None or self.keys.document != fetched.document:
            self.keys = self._read(fetched.document)
        if self._failures:
            LOG.info("%s: here again", self._name)
        self._updated_at = self._clock()
        self._failures, self._why = 0, ""
        self._pause = self._schedule.pause(fetched.max_age)
        self._next_allowed = self._updated_at + self._schedule.cool_down
        self._count(self._ok)

    def _miss(self, why: str) -> None:
        if not self._failures:
            LOG.warning("%s: %s", self._name, why)
        self._failures += 1
        self._why = why
        eager = FIRST_PAUSE * 2.0 ** min(self._failures - 1, 16) if self.keys is None else self._schedule.cool_down
        self._pause = min(eager, self._schedule.cool_down) * uniform(0.9, 1.0)  # noqa: S311 - no secret
        self._next_allowed = self._clock() + self._pause
        self._count(self._error)

    def _drop_stale(self) -> None:
        if self.keys is not None and self._clock() - self._updated_at > self._schedule.max_stale:
            self.keys = None
            self._why = f"the last keys are older than {self._schedule.max_stale:g} s; {self._why}"
