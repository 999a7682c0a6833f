"""One worker process: an event loop, an engine, and the Gateway in force.

It listens to its supervisor (`messages.py`), and drains and ends when that is gone.
"""

import asyncio
import contextlib
import gc
import logging
import signal
import time
from collections.abc import Coroutine, Mapping, MutableSequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from ztag_extauthz.authorization.bundle import slices
from ztag_extauthz.component import Memory, Readiness, Resources, private_memory
from ztag_extauthz.errors import MistakesError
from ztag_extauthz.meter import Meter
from ztag_extauthz.server.engine import Engine, Place
from ztag_extauthz.server.health import Health, Serving
from ztag_extauthz.server.kept import build_or_kept
from ztag_extauthz.server.messages import (
    Accepting,
    Commit,
    Condition,
    Drain,
    Order,
    Prepare,
    Prepared,
    Renew,
    Report,
    Trouble,
    Unusable,
)
from ztag_extauthz.server.preflight import build_to_serve
from ztag_extauthz.server.service import Dialogue, Service
from ztag_extauthz.settings import Settings
from ztag_extauthz.wiring import Gateway, build

if TYPE_CHECKING:
    import ctypes

_LOG = logging.getLogger("ztag.server")

PATIENCE = 3.0
"""Seconds that a start waits for what is not ready (keys of a URL). Then the worker accepts all the same: health and
`/readyz` say no until everything was ready once, but whoever asks is answered, with an error where keys are missing."""

_ALLOCATIONS = 10_000
"""Objects between two runs of the garbage collector; its default is made for programs that make few. A run takes a
quarter of a microsecond for each that is still there, and then nobody is answered."""
_LOOKS_EVERY = 8
"""So many reloads until the garbage collector looks through all there is, which stops the worker for some tenths of a
second where data is large. Until then what old settings leave behind, some hundred small objects each, stays."""
_POLL = 0.2
HEARTBEAT = 0.8
"""Seconds between two words to the supervisor at most."""


class Assignment(Struct, frozen=True):
    """What a worker is given."""

    place: Place
    settings: Settings
    folder: Path
    cells: "ctypes.Array[ctypes.c_double]"
    """Shared memory that it counts in."""
    memory: Memory = private_memory
    """Shared memory of limits and profiles."""
    kept: Settings | None = None
    """The settings with copies of the files that were accepted last."""


def main(assignment: Assignment, pipe: Connection) -> None:
    """Run a worker; the process's target."""
    # Ctrl-C goes to the whole process group, but how to end is the supervisor's to say.
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    configure_log()
    raise SystemExit(asyncio.run(Worker(assignment, pipe).run()))


def cells_of(shared: "ctypes.Array[ctypes.c_double]") -> MutableSequence[float]:
    """Return shared memory as cells; a view of it is twice as fast as ctypes' own indexing."""
    return memoryview(shared).cast("B").cast("d")  # type: ignore[return-value]


def configure_log() -> None:
    """Write the log to stderr, one line an event."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(processName)s %(message)s")


class Worker:
    """Serves until it is told to drain."""

    def __init__(self, assignment: Assignment, pipe: Connection) -> None:
        self._assignment = assignment
        self._pipe = pipe
        self._resources = Resources(assignment.folder, time.time, Meter(cells_of(assignment.cells)), assignment.memory)
        self._drain = asyncio.Event()
        self._candidate: tuple[int, Gateway] | None = None
        self._preparing: asyncio.Task[None] | None = None
        self._retired = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        """Return the exit code: 0 after a drain, 2 if the settings cannot be used."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._drain.set)
        try:
            self._gateway, refused = self._build()
            await self._gateway.start()
            self._health = Health()
            service = Service(self._gateway.core, self._health, _reflection(self._assignment.settings))
            self._engine = engine(service, self._assignment)
            watching = asyncio.create_task(self._watch_condition())
            await self._until_ready(self._gateway, PATIENCE)
            await self._engine.start()
        except (MistakesError, OSError, ValueError, RuntimeError) as error:
            self._tell(Unusable(str(error)))
            return 2
        _settle()
        loop.add_reader(self._pipe.fileno(), self._take_orders)
        self._tell(Accepting())
        if refused:
            self._tell(Trouble(f"serves what was accepted last, as the files cannot be used:\n{refused}"))
        await self._drain.wait()
        await self._end()
        watching.cancel()
        return 0

    def _build(self) -> tuple[Gateway, str]:
        given = self._assignment
        return build_or_kept(build_to_serve, given.settings, given.kept, self._resources)

    def _take_orders(self) -> None:
        try:
            while self._pipe.poll():
                self._obey(self._pipe.recv())
        except (EOFError, OSError):
            _LOG.warning("the supervisor is gone; ending")
            asyncio.get_running_loop().remove_reader(self._pipe.fileno())
            self._drain.set()

    def _obey(self, order: Order) -> None:
        match order:
            case Prepare():
                if self._preparing:
                    self._preparing.cancel()
                self._preparing = self._spawn(self._prepare(order, self._preparing))
            case Commit(revision):
                self._commit(revision)
            case Renew():
                self._spawn(self._renew())
            case Drain():
                self._drain.set()

    async def _prepare(self, order: Prepare, before: asyncio.Task[None] | None) -> None:
        if before:
            await asyncio.wait({before})
        await self._discard_candidate()
        try:
            # In a thread, so that requests go on while a large policy is compiled.
            candidate = await asyncio.to_thread(build, order.settings, self._resources)
            await candidate.start()
        except Exception as error:  # noqa: BLE001 - whatever it is, the old configuration stays
            mistakes = str(error) if isinstance(error, MistakesError) else f"{type(error).__name__}: {error}"
            self._tell(Prepared(order.revision, mistakes))
            return
        self._candidate = (order.revision, candidate)
        await self._until_no_worse(candidate)
        self._tell(Prepared(order.revision))

    def _commit(self, revision: int) -> None:
        if self._candidate is None or self._candidate[0] != revision:
            self._tell(Trouble(f"nothing is prepared under revision {revision}"))
            return
        (_, candidate), self._candidate = self._candidate, None
        old, self._gateway = self._gateway, candidate
        self._engine.service.checker = candidate.core
        self._spawn(self._retire(old))

    async def _retire(self, old: Gateway) -> None:
        """Close a Gateway when its requests are answered."""
        limit = time.monotonic() + self._assignment.settings.server.drain_timeout
        while old.core.in_flight and time.monotonic() < limit:  # noqa: ASYNC110 - a wake-up would cost every request
            await asyncio.sleep(_POLL)
        await old.close()
        self._retired += 1
        if old.core.in_flight:
            _settle()  # whoever is late is answered yet
        else:
            slices.free_beside(old.release())
            _settle(thoroughly=self._retired % _LOOKS_EVERY == 0)

    async def _renew(self) -> None:
        try:
            await self._engine.renew()
        except (OSError, ValueError, RuntimeError) as error:
            self._tell(Trouble(f"the TLS files cannot be used: {error}"))

    async def _until_ready(self, gateway: Gateway, patience: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while _unready(gateway.readiness()):  # noqa: ASYNC110 - readiness is asked, not told
                    await asyncio.sleep(0.02)

    async def _until_no_worse(self, candidate: Gateway) -> None:
        """Wait until everything that is ready now is ready in the candidate too.

        Otherwise a new policy would throw away an issuer's keys while its key server is down.
        """
        told = time.monotonic() + PATIENCE
        while lost := _unready(candidate.readiness()) & _ready(self._gateway.readiness()):
            if time.monotonic() > told:
                self._tell(Trouble(f"the reload waits for: {', '.join(sorted(lost))}"))
                told = float("inf")
            await asyncio.sleep(0.02)

    async def _discard_candidate(self) -> None:
        if self._candidate:
            (_, candidate), self._candidate = self._candidate, None
            await candidate.close()

    async def _watch_condition(self) -> None:
        told: tuple[Readiness, ...] | None = None
        told_at = 0.0
        was_ready = False
        while True:
            condition, now = self._gateway.readiness(), time.monotonic()
            if condition != told or now - told_at > HEARTBEAT:
                self._tell(Condition(condition))
                told, told_at = condition, now
            if not was_ready and not _unready(condition):
                was_ready = True
                self._health.set(Serving.SERVING)
            await asyncio.sleep(_POLL)

    async def _end(self) -> None:
        """Say that we don't serve, wait for that to be heard, and answer what is under way."""
        server = self._assignment.settings.server
        self._health.set(Serving.NOT_SERVING)
        await asyncio.sleep(server.drain_delay)
        self._health.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(server.drain_timeout + 1):
                await self._engine.stop()
        await self._discard_candidate()
        await self._gateway.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _tell(self, report: Report) -> None:
        with contextlib.suppress(OSError):
            self._pipe.send(report)


def engine(service: Service, assignment: Assignment) -> Engine:
    """Return the engine that the settings ask for."""
    place, server = assignment.place, assignment.settings.server
    if server.engine == "grpcio":
        from ztag_extauthz.server.grpcio import Grpcio  # noqa: PLC0415 - heavy, and an extra

        return Grpcio(service, place, server)
    from ztag_extauthz.server.h2corn import H2corn  # noqa: PLC0415 - heavy

    return H2corn(service, place, server)


def _reflection(settings: Settings) -> Mapping[str, Dialogue]:
    if not settings.server.reflection:
        return {}
    from ztag_extauthz.server.reflection import dialogues  # noqa: PLC0415 - an extra

    return dialogues()


def _unready(entries: tuple[Readiness, ...]) -> set[str]:
    return {entry.component for entry in entries if not entry.ready}


def _ready(entries: tuple[Readiness, ...]) -> set[str]:
    return {entry.component for entry in entries if entry.ready}


def _settle(*, thoroughly: bool = True) -> None:
    """Take all that was loaded out of the garbage collector's sight: it stays, and there is much of it."""
    if thoroughly:
        gc.unfreeze()
        gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, 100, 20)
