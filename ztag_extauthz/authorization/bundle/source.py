"""A bundle that is fetched again and again, and put in force when it is another one.

1. fetch     in a thread; a server that says "still the same" costs nothing more
2. load      verify, unpack, parse and compile, in a thread: requests go on being answered by what is in force
3. activate  one assignment in the event loop
4. keep      the bundle on disk, where the settings name a folder

Whatever goes wrong on the way, what is in force stays. Where there is a folder, the other workers' bundles are found
there as well.
"""

import asyncio
import logging
from collections.abc import Callable
from hashlib import blake2b
from random import uniform
from typing import Any, Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from ztag_extauthz.authorization.bundle import slices
from ztag_extauthz.authorization.bundle.persisted import Keeper, Kept
from ztag_extauthz.authorization.bundle.settings import BundleSettings
from ztag_extauthz.component import Readiness, Resources, cancelled
from ztag_extauthz.errors import MistakesError
from ztag_extauthz.fetch import Fetched, FetchError, in_daemon

LOG = logging.getLogger("ztag.bundle")
FIRST_PAUSE: Final = 0.5
"""Seconds before the second attempt after a failure; the pause doubles up to `max_delay`."""
LOOK: Final = 1.0
"""Seconds between two looks at what the other workers have put on the disk."""

PutInForce: TypeAlias = Callable[[], list[Any]]
"""Is called in the event loop, where it takes no time; returns what is to be freed. Raises `MistakesError`."""
Load: TypeAlias = Callable[[bytes], PutInForce]
"""Makes of a bundle what puts it in force; blocks, and raises `MistakesError`."""


class BundleSource:
    """Keeps one bundle fresh."""

    def __init__(self, settings: BundleSettings, load: Load, resources: Resources) -> None:
        """Raise `SettingsError` where the files that the settings name cannot be used."""
        self._settings = settings
        self._load = load
        self._get = settings.getter(resources.folder)
        self._clock = resources.clock
        self._count = resources.meter.add
        self._cells = {
            result: resources.meter.series("ztag_bundle_fetches", result)
            for result in ("activated", "unchanged", "refused", "error")
        }
        folder = settings.persist and resources.folder / settings.persist
        self._keeper = Keeper(folder, settings.url, settings.max_bytes) if folder else None
        self._stamp = (0, 0)
        self._seen = _Seen()
        self._failures = 0
        self._why = "not fetched yet"
        self._updated_at = 0.0
        self._in_force = False
        self._loop: asyncio.Task[None] | None = None

    def first(self) -> None:
        """Put in force what is kept on disk, if it can be used; blocks. For the time before the event loop runs."""
        if self._keeper is None:
            return
        self._stamp = self._keeper.stamp()
        try:
            kept = self._keeper.get()
            if kept is not None:
                self._load(kept.content)()
                self._take(_Seen(kept.etag, _digest(kept.content)))
        except (OSError, MistakesError) as error:
            self._cannot_use(error)

    def _cannot_use(self, error: Exception) -> None:
        LOG.warning("the bundle kept of %s cannot be used: %s", self._settings.url, error)

    async def start(self) -> None:
        self._loop = asyncio.create_task(self._keep_fresh(), name=f"bundle {self._settings.url}")

    async def close(self) -> None:
        await cancelled(self._loop)

    def readiness(self) -> Readiness:
        return Readiness(f"bundle {self._settings.url}", self._in_force, self._why, self._updated_at)

    async def _keep_fresh(self) -> None:
        while True:
            try:
                await self._fetch()
            except Exception as error:  # noqa: BLE001 - whatever came over the network, the loop goes on
                self._miss("error", f"{type(error).__name__}: {error}")
            await self._wait(self._pause())

    async def _fetch(self) -> None:
        try:
            fetched: Fetched = await in_daemon(lambda: self._get(self._seen.etag))
        except (FetchError, MistakesError) as error:
            self._miss("error", str(error))
            return
        if fetched.unchanged or _digest(fetched.document) == self._seen.digest:
            self._same()
            return
        kept = Kept(fetched.document, fetched.etag)
        if await self._activate(kept) and self._keeper is not None:
            await self._keep(self._keeper, kept)

    async def _activate(self, kept: Kept) -> bool:
        seen = _Seen(kept.etag, _digest(kept.content))
        try:
            put_in_force = await in_daemon(lambda: self._beside(kept.content))
            owned = put_in_force()
        except MistakesError as error:
            self._seen = replace(seen, refused=True)
            self._miss("refused", str(error))
            return False
        self._take(seen)
        LOG.info("bundle %s: activated", self._settings.url)
        self._count(self._cells["activated"])
        slices.free_beside(owned)
        return True

    def _beside(self, content: bytes) -> PutInForce:
        with slices.beside():
            return self._load(content)

    async def _keep(self, keeper: Keeper, kept: Kept) -> None:
        try:
            await in_daemon(lambda: keeper.put(kept))
            self._stamp = keeper.stamp()
        except OSError as error:
            LOG.warning("bundle %s: cannot be kept: %s", self._settings.url, error)

    async def _follow(self, keeper: Keeper) -> None:
        """Take over what another worker has put on the disk."""
        stamp = keeper.stamp()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            kept = await in_daemon(keeper.get)
        except OSError as error:
            self._cannot_use(error)
            return
        if kept is not None and _digest(kept.content) != self._seen.digest:
            await self._activate(kept)

    async def _wait(self, seconds: float) -> None:
        while seconds > 0:
            await asyncio.sleep(min(seconds, LOOK))
            seconds -= LOOK
            if self._keeper is not None:
                await self._follow(self._keeper)

    def _pause(self) -> float:
        """Return the time until the next look; workers that began together drift apart."""
        if self._failures:
            return min(FIRST_PAUSE * 2.0 ** min(self._failures - 1, 16), self._settings.max_delay) * uniform(0.5, 1.0)  # noqa: S311
        return uniform(self._settings.min_delay, self._settings.max_delay)  # noqa: S311 - no secret

    def _take(self, seen: "_Seen") -> None:
        self._seen, self._in_force = seen, True
        self._failures, self._why, self._updated_at = 0, "", self._clock()

    def _same(self) -> None:
        """Note that the server has nothing else; what was refused before is still refused."""
        self._failures = 0
        self._count(self._cells["unchanged"])
        if not self._seen.refused:
            self._why, self._updated_at = "", self._clock()

    def _miss(self, result: str, why: str) -> None:
        told = f"{why}; the last good one stays" if self._in_force else why
        if told != self._why:
            LOG.warning("bundle %s: %s", self._settings.url, told)
        self._why = told
        # What was refused is refused the next time, too: there is no hurry to see it again.
        self._failures = self._failures + 1 if result == "error" else 0
        self._count(self._cells[result])


class _Seen(Struct, frozen=True):
    """The bundle that was looked at last."""

    etag: str = ""
    digest: bytes = b""
    refused: bool = False


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()
