"""The workers, as their supervisor sees them: started, listened to, and started again when they die."""

import asyncio
import logging
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from ztag_extauthz.meter import CELLS, METRICS, SERIES
from ztag_extauthz.server import worker
from ztag_extauthz.server.engine import Place
from ztag_extauthz.server.messages import (
    Accepting,
    Commit,
    Condition,
    Order,
    Prepare,
    Prepared,
    Report,
    Trouble,
    Unusable,
)
from ztag_extauthz.settings import Settings
from ztag_extauthz.stores.shared import SharedMemory

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess

    from ztag_extauthz.component import Readiness

_LOG = logging.getLogger("ztag.server")

PRELOADED = ("ztag_extauthz.server.worker", "ztag_extauthz.server.h2corn")
"""Imported once in the process that forks the workers, so that a new worker is there at once."""

_SOON = 1.0
"""A worker that dies within these seconds of its start would do so again: it waits before it is started again."""
_LONGEST_PAUSE = 5.0
_MOST_FAILURES = 16
"""More are not counted: the pause is the longest long since, and two to their power has to be a number."""
_SILENCE = 5
"""Seconds without a sign of life after which a worker hangs: whatever it does, it answers nobody."""


class Member:
    """One worker: its place, its process, and what it said last."""

    def __init__(self, number: int, place: Place) -> None:
        self.number = number
        self.place = place
        self._shared = multiprocessing.RawArray("d", CELLS)
        self.cells = worker.cells_of(self._shared)
        self.process: ForkServerProcess | None = None
        self.pipe: Connection | None = None
        self.accepting = False
        self.components: tuple[Readiness, ...] = ()
        self.mistakes = ""
        self.failures = 0
        self.started_at = 0.0
        self.silence = 0
        """Seconds since the worker last said something."""
        self._asked: tuple[int, asyncio.Future[str]] | None = None

    @property
    def ready(self) -> bool:
        return self.accepting and all(entry.ready for entry in self.components)

    def assignment(
        self, settings: Settings, folder: Path, memory: SharedMemory, kept: Settings | None
    ) -> worker.Assignment:
        return worker.Assignment(self.place, settings, folder, self._shared, memory, kept)

    def clear_gauges(self) -> None:
        """Forget what was under way in a worker that died; what it counted stays."""
        for (name, _), cell in SERIES.items():
            if METRICS[name].kind == "gauge":
                self.cells[cell] = 0.0

    def ask(self, order: Prepare) -> asyncio.Future[str]:
        """Return what will hold the mistakes that the worker finds in new settings, "" if there are none."""
        answer = asyncio.get_running_loop().create_future()
        self._asked = (order.revision, answer)
        self.send(order)
        return answer

    def answer(self, revision: int | None, mistakes: str) -> None:
        """Settle what was asked under a revision, or whatever was asked last."""
        if self._asked and revision in (None, self._asked[0]) and not self._asked[1].done():
            self._asked[1].set_result(mistakes)

    def send(self, order: Order) -> None:
        """Tell the worker; one that has just died will be told otherwise."""
        if self.pipe:
            try:
                self.pipe.send(order)
            except OSError:
                _LOG.debug("worker %d is gone", self.number)


class Crew:
    """All workers."""

    def __init__(
        self,
        members: Sequence[Member],
        settings: Settings,
        folder: Path,
        on_change: Callable[[], None],
        memory: SharedMemory,
    ) -> None:
        self.members = members
        self.settings = settings
        """In force: what a worker is started with."""
        self.kept: Settings | None = None
        """The same with copies of the files, for a worker that finds those on the disk in disorder."""
        self.ending = False
        self._folder = folder
        self._memory = memory
        self._on_change = on_change
        self._context = multiprocessing.get_context("forkserver")

    def start(self) -> None:
        for member in self.members:
            self._start(member)

    def send(self, order: Order) -> None:
        for member in self.members:
            member.send(order)

    async def change_over(self, revision: int, settings: Settings, kept: Settings | None = None) -> str:
        """Put settings in force in all workers, or in none; return the mistakes that speak against it."""
        order = Prepare(revision, settings)
        answers = await asyncio.gather(*(member.ask(order) for member in self.members if member.pipe))
        if mistakes := next(filter(None, answers), ""):
            return mistakes
        # Nothing may come between these two: a worker that dies now starts with the new settings.
        self.settings, self.kept = settings, kept
        self.send(Commit(revision))
        return ""

    def kill(self) -> None:
        for member in self.members:
            if member.process:
                member.process.kill()

    async def ended(self, limit: float) -> bool:
        """Wait until all workers have ended, `limit` seconds at most; return whether they have."""
        until = time.monotonic() + limit
        while any(member.pipe for member in self.members):
            if time.monotonic() > until:
                return False
            await asyncio.sleep(0.02)
        return True

    async def watch(self) -> None:
        """Kill workers that accept, but say nothing any more; until cancelled.

        Seconds of ours are counted, not the clock: where everything was stopped, nobody is to blame.
        """
        while True:
            await asyncio.sleep(1.0)
            for member in self.members:
                member.silence += member.accepting
                if member.silence > _SILENCE and member.process:
                    _LOG.error("worker %d has hung for %d s; killing it", member.number, _SILENCE)
                    member.silence = 0
                    member.process.kill()

    def _start(self, member: Member) -> None:
        try:
            member.process, pipe = self._launch(member)
        except (OSError, EOFError) as error:  # no memory, process or descriptor is left, which can pass
            _LOG.error("worker %d cannot be started: %s; trying again", member.number, error)
            self._start_later(member, early=True)
            return
        member.pipe, member.started_at = pipe, time.monotonic()
        asyncio.get_running_loop().add_reader(pipe.fileno(), self._listen, member)

    def _launch(self, member: Member) -> "tuple[ForkServerProcess, Connection]":
        ours, theirs = multiprocessing.Pipe()
        assignment = member.assignment(self.settings, self._folder, self._memory, self.kept)
        process = self._context.Process(
            target=worker.main, args=(assignment, theirs), name=f"worker-{member.number}", daemon=True
        )
        with theirs, _no_main_module():
            process.start()
        return process, ours

    def _listen(self, member: Member) -> None:
        pipe = member.pipe
        if pipe is None:
            return
        try:
            while pipe.poll():
                self._hear(member, pipe.recv())
        except (EOFError, OSError):
            # The pipe ends with the process, whatever ended that.
            self._bury(member, pipe)
        self._on_change()

    def _hear(self, member: Member, report: Report) -> None:
        member.silence = 0
        match report:
            case Accepting():
                member.accepting, member.mistakes = True, ""
            case Condition(components):
                member.components = components
            case Prepared(revision, mistakes):
                member.answer(revision, mistakes)
            case Unusable(mistakes):
                member.mistakes = mistakes
            case Trouble(what):
                _LOG.warning("worker %d: %s", member.number, what)

    def _bury(self, member: Member, pipe: Connection) -> None:
        asyncio.get_running_loop().remove_reader(pipe.fileno())
        pipe.close()
        process = member.process
        member.pipe, member.accepting, member.components = None, False, ()
        member.answer(None, f"worker {member.number} died of it")
        if self.ending or process is None:
            return
        process.join(1.0)
        _LOG.error(
            "worker %d (pid %s) ended with %s; starting it again", member.number, process.pid, _ending(process.exitcode)
        )
        if member.mistakes:
            _LOG.error("worker %d: %s", member.number, member.mistakes)
        self._start_later(member, early=time.monotonic() - member.started_at < _SOON)

    def _start_later(self, member: Member, *, early: bool) -> None:
        """Start a worker again: at once, or with growing pauses while it ends early or cannot be started."""
        member.failures = min(member.failures + 1, _MOST_FAILURES) if early else 0
        pause = min(0.05 * 2**member.failures, _LONGEST_PAUSE) if early else 0.0
        asyncio.get_running_loop().call_later(pause, self._restart, member)

    def _restart(self, member: Member) -> None:
        if not self.ending:
            member.clear_gauges()
            self._start(member)


def _ending(exitcode: int | None) -> str:
    if exitcode is None:
        return "an unknown end"
    return f"exit code {exitcode}" if exitcode >= 0 else f"signal {-exitcode}"


@contextmanager
def _no_main_module() -> Iterator[None]:
    """Keep `multiprocessing` from running our main script once more in each worker: nothing there is theirs."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
