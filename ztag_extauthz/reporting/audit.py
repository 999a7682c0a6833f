"""One JSON line a decision (`proto/ztag/v1/decision.proto`), written by a thread of its own.

1. report   makes the record and puts it in a queue; a full queue drops it and counts that
2. write    the thread takes what is there and writes it in one go; a disk that is full costs lines, never a request
"""

import asyncio
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import Literal

from pydantic import Field, field_validator

from ztag_extauthz.component import Resources
from ztag_extauthz.errors import Mistake, SettingsError
from ztag_extauthz.meter import Meter
from ztag_extauthz.model import Decision, Request
from ztag_extauthz.reporting.interface import Reporter
from ztag_extauthz.reporting.masking import is_secret
from ztag_extauthz.reporting.record import DecisionRecord, brief, to_json
from ztag_extauthz.reporting.sinks import RotatingFile, Sink, StandardOutput
from ztag_extauthz.section import Section

BATCH = 128
"""Records that are written at once; about 64 KiB."""
PAUSE = 0.02
"""Seconds between two batches while records come singly, so that the thread seldom takes the interpreter's lock."""
LAST_WORDS = 5.0
"""Seconds that the thread has to write what is left when it is closed."""


class AuditSettings(Section):
    """Write one JSON line for each decision: who, what, which way, why, how long. No tokens, bodies or query values."""

    kind: Literal["audit"]
    to: str = Field(default="stdout", min_length=1)
    """`stdout`, or the path of a file, which is rotated."""
    max_bytes: int = Field(default=100 * 1024 * 1024, ge=64 * 1024)
    """Bytes of the file before it becomes `<file>.1`."""
    backups: int = Field(default=5, ge=0, le=1000)
    """Rotated files that are kept."""
    max_waiting: int = Field(default=10_000, ge=1)
    """Lines that may wait for the writer; what comes then is dropped and counted in `ztag_audit_dropped`."""
    include_headers: tuple[str, ...] = ()
    """Request headers to write, too. Those that hold secrets are refused."""

    @field_validator("include_headers")
    @classmethod
    def _no_secrets(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if is_secret(name.lower()):
                raise ValueError(f"{name} may hold a secret\nleave it out: who reads the log could use it")
        return tuple(name.lower() for name in names)

    def build(self, resources: Resources) -> "Audit":
        """Look whether the file can be written, and leave it as it is. Raises `SettingsError` where it cannot."""
        audit = Audit(self._sink(resources), self, resources.meter)
        audit.prepare(audit.sink.check)
        return audit

    def _sink(self, resources: Resources) -> Sink:
        if self.to == "stdout":
            return StandardOutput()
        return RotatingFile(resources.folder / self.to, self.max_bytes, self.backups)


class Audit(Reporter):
    """Keeps the queue and the thread that empties it."""

    kind = "audit"

    def __init__(self, sink: Sink, settings: AuditSettings, meter: Meter) -> None:
        self.sink = sink
        self._to = settings.to
        self._headers = settings.include_headers
        self._max_waiting = settings.max_waiting
        self._meter = meter
        self._dropped = meter.series("ztag_audit_dropped")
        self._queue: deque[DecisionRecord] = deque()
        self._work = Event()
        self._closing = Event()
        self._counting = Lock()  # the only series that two threads count in
        self._failing = False
        self._thread: Thread | None = None

    def prepare(self, step: Callable[[], None]) -> None:
        """Take a step towards the file. Raises `SettingsError` where that is not possible."""
        try:
            step()
        except OSError as error:
            what = f"cannot be written: {error.strerror}"
            mistake = Mistake(self._to, what, "name a file in a folder that exists", "to")
            raise SettingsError((mistake,)) from error

    async def start(self) -> None:
        """Open the file, and write. Raises `SettingsError`."""
        self.prepare(self.sink.open)
        self._thread = Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Write what waits, within `LAST_WORDS`."""
        self._closing.set()
        self._work.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, LAST_WORDS)
            if self._thread.is_alive():
                return  # it hangs in a write, and keeps what it writes to
        self._drain()
        self.sink.close()

    def report(self, request: Request, decision: Decision) -> None:
        """See `Reporter.report`."""
        queue = self._queue
        if len(queue) >= self._max_waiting:
            self._drop(1)
            return
        try:
            queue.append(brief(request, decision, self._headers))
        except Exception:  # noqa: BLE001 - a decision does not depend on its record
            self._drop(1)
        if not self._work.is_set():
            self._work.set()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._work.wait()
            self._closing.wait(PAUSE)
            self._work.clear()
            self._drain()

    def _drain(self) -> None:
        while batch := self._batch():
            try:
                self.sink.write([to_json(record) + b"\n" for record in batch])
            except Exception as error:  # noqa: BLE001 - the thread goes on with the next lines
                self._fail(error, len(batch))
            else:
                self._failing = False

    def _batch(self) -> list[DecisionRecord]:
        batch: list[DecisionRecord] = []
        with suppress(IndexError):
            while len(batch) < BATCH:
                batch.append(self._queue.popleft())
        return batch

    def _fail(self, error: Exception, lines: int) -> None:
        """Count what is lost; say so once, not once a line."""
        self._drop(lines)
        if not self._failing:
            self._failing = True
            # What is no fault of the disk's may say in its words what stands in the line.
            why = error.strerror if isinstance(error, OSError) else type(error).__name__
            print(f"ztag: audit lines are lost: {why}", file=sys.stderr, flush=True)  # noqa: T201

    def _drop(self, lines: int) -> None:
        with self._counting:
            self._meter.add(self._dropped, lines)
