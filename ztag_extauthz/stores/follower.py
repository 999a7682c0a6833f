"""Keeps up with a journal in the background, and gives it back what it lost."""

import asyncio
import logging
from collections.abc import Callable, Hashable
from typing import Generic

from ztag_extauthz.component import cancelled
from ztag_extauthz.errors import UnavailableError
from ztag_extauthz.stores.journal import E, Journal

LOG = logging.getLogger("ztag.journal")
UNASKED = "not asked yet"
SWEEP = 60.0
"""Seconds between two looks for what is over."""


class Follower(Generic[E]):
    """What one worker knows of a journal."""

    def __init__(
        self,
        name: str,
        journal: Journal[E],
        interval: float,
        clock: Callable[[], float],
        learnt: Callable[[E], None] = lambda _: None,
    ) -> None:
        """`name` is for the log; `interval` in seconds; `clock` in Unix seconds; `learnt` is told of new entries."""
        self.entries: dict[Hashable, E] = {}
        """All that still count, by their keys."""
        self.heard_at = 0.0
        """Unix seconds when the journal answered last; 0 before it did."""
        self.why = UNASKED
        """What keeps it from answering now; "" where nothing does."""
        self._name = name
        self._journal = journal
        self._interval = interval
        self._clock = clock
        self._learnt = learnt
        self._swept_at = clock()
        self._owed: tuple[E, ...] = ()
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._loop = asyncio.create_task(self._keep_up(), name=self._name)

    async def close(self) -> None:
        await cancelled(self._loop)
        await self._journal.close()

    async def _keep_up(self) -> None:
        while True:
            try:
                await self.catch_up()
            except UnavailableError as error:
                if self.why in {"", UNASKED}:
                    LOG.warning("%s: %s", self._name, error)
                self.why = str(error)
            await asyncio.sleep(self._interval)

    async def catch_up(self) -> None:
        """Learn what is new, and give back what was lost. Raises `UnavailableError`.

        What is over goes for everybody, so the journal's own clock says what is: ours may be wrong.
        """
        asked_at = self._clock()
        news = await self._journal.news()
        now = asked_at if news.time is None else news.time
        if news.lost:
            # What was lost is owed until it was given back: Redis may be gone again before that.
            self._owed = tuple(self.entries.values())
            LOG.warning("%s: what was known there is lost; %d are given back", self._name, len(self._owed))
        for entry in news.entries:
            known = self.entries.get(entry.key)
            if entry.until >= now and (known is None or known.before < entry.before):
                self.entries[entry.key] = entry
                self._learnt(entry)
        if self.why not in {"", UNASKED}:
            LOG.info("%s: heard again", self._name)
        self.heard_at, self.why = asked_at, ""
        await self._journal.add([entry for entry in self._owed if entry.until > now])
        self._owed = ()
        if abs(now - self._swept_at) > SWEEP:
            await self._sweep(now)

    async def _sweep(self, now: float) -> None:
        self._swept_at = now
        over = [entry for entry in self.entries.values() if entry.until < now]
        for entry in over:
            del self.entries[entry.key]
        await self._journal.drop(over)
