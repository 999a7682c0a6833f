"""How long a request may have waited before the event loop came to it.

An answer from memory needs no `await`, so a worker that is asked for more than it can do never has many requests in
flight: they wait in the event loop's queue instead, where nobody sees them. But what is in the queue of one turn of
the loop came during the turn before. So the beginnings of the last two turns bound how long it has waited there. (What
h2corn has not taken from a connection yet, as over a hundred requests of that connection are waiting, is not seen.)
"""

import asyncio
from collections.abc import Callable
from time import monotonic


class Backlog:
    """Watches the turns of the running event loop, as long as there are requests."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._active = False
        self._asked = False
        self._before = self._began = 0.0

    def waited(self, now: float) -> float:
        """Return the seconds that a request, seen at `now` (`time.monotonic`), has waited at most."""
        self._asked = True
        if not self._active:
            self._active = True
            self._before = self._began = now
            self._loop.call_soon(self._turn)
        return now - self._before

    def _turn(self) -> None:
        self._before, self._began = self._began, self._clock()
        self._active, self._asked = self._asked, False
        if self._active:
            self._loop.call_soon(self._turn)
