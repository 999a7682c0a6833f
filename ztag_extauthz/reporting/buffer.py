"""Uploads that wait on disk, while their collector is away and over restarts; all workers of a node share one folder.

Rule 1: a file appears as a whole: it is written under another name, and renamed.
Rule 2: who writes holds the folder's lock. So the bound is kept, and what a crash left half written is written over.
Rule 3: who uploads holds the lock of another file until it ends, in whatever way. So no two upload the same; what is
uploaded twice is what the collector took while its answer was lost.
"""

import asyncio
import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from secrets import token_hex
from threading import Event, Thread
from typing import Final, NamedTuple, TypeVar

from ztag_extauthz.background import LAST_WORDS
from ztag_extauthz.reporting.collector import Collector, RefusedError, pack

T = TypeVar("T")

LOG = logging.getLogger("ztag.decision_log")
LONGEST_PAUSE: Final = 1.0
"""Seconds between two looks into the folder, where other processes put files, at most."""

_NAME: Final = re.compile(r"([0-9]{12})-([0-9]{1,9})-[0-9a-f]{8}\.json\.gz", re.ASCII)
_UNFINISHED: Final = "unfinished"
_UPLOADING: Final = "uploading"


class Upload(NamedTuple):
    """A file that waits; the oldest has the lowest number."""

    number: int
    events: int
    path: Path


class Buffer:
    """A folder of uploads. Methods block, and raise `OSError`."""

    def __init__(self, folder: Path, max_bytes: int, dropped: Callable[[int], None]) -> None:
        """Count in `dropped` the events that had to make room."""
        self._folder = folder
        self._max_bytes = max_bytes
        self._dropped = dropped

    def open(self) -> None:
        """Make the folder if it is not there, and see whether it can be written."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(self._create(_UPLOADING))

    def put(self, body: bytes, events: int) -> None:
        """Keep an upload of so many events; the oldest make room."""
        if len(body) > self._max_bytes:
            self._dropped(events)
            return
        with self._alone():
            waiting = self.waiting()
            self._make_room(waiting, len(body))
            number = waiting[-1].number + 1 if waiting else 0
            with os.fdopen(self._create(_UNFINISHED, os.O_TRUNC), "wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            (self._folder / _UNFINISHED).rename(self._folder / f"{number:012}-{events}-{token_hex(4)}.json.gz")

    def waiting(self) -> list[Upload]:
        """Return what is there, the oldest first."""
        found = ((path, _NAME.fullmatch(path.name)) for path in self._folder.iterdir())
        return sorted(Upload(int(name[1]), int(name[2]), path) for path, name in found if name)

    def turn(self) -> int | None:
        """Return a descriptor that is the right to upload while it is open; None while somebody else has it."""
        file = self._create(_UPLOADING)
        try:
            flock(file, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return None
        return file

    def _create(self, name: str, flags: int = 0) -> int:
        return os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o600)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            flock(folder, LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _make_room(self, waiting: Sequence[Upload], size: int) -> None:
        sizes = [_size(upload.path) for upload in waiting]
        left = sum(sizes)
        for upload, freed in zip(waiting, sizes, strict=True):
            if left + size <= self._max_bytes:
                return
            with suppress(FileNotFoundError):  # uploaded meanwhile
                upload.path.unlink()
                self._dropped(upload.events)
            left -= freed


def _size(path: Path) -> int:
    """Return the size of a file; 0 of one that was uploaded meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


class Buffered:
    """Uploads what a buffer holds, in a thread of its own."""

    def __init__(self, buffer: Buffer, collector: Collector, dropped: Callable[[int], None], pause: float) -> None:
        """Count in `dropped` what the collector refuses; look at the buffer every `pause` seconds."""
        self._buffer = buffer
        self._collector = collector
        self._dropped = dropped
        self._pause = min(pause, LONGEST_PAUSE)
        self._closing = Event()
        self._thread = Thread(target=self._run, name="decision log uploads", daemon=True)

    def start(self) -> None:
        """Raise `OSError` where the folder cannot be written."""
        self._buffer.open()
        self._thread.start()

    async def close(self) -> None:
        """Upload what the collector takes at once; the rest stays for the next start."""
        self._closing.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, LAST_WORDS)

    def put(self, events: Sequence[bytes]) -> None:
        """Keep events until they are uploaded. Raises `OSError`."""
        self._buffer.put(pack(events), len(events))

    def _run(self) -> None:
        turn = None
        while True:
            closing = self._closing.is_set()
            if turn is None:
                turn = self._next(self._buffer.turn)
            if turn is not None and self._next(self._upload_oldest):
                continue
            if closing:
                break
            self._closing.wait(self._pause)
        if turn is not None:
            os.close(turn)

    def _next(self, step: Callable[[], T]) -> T | None:
        """Take a step; None where the disk or the collector is in the way."""
        try:
            return step()
        except OSError as error:
            LOG.warning("decision logs wait on disk: %s", error.strerror)
            return None

    def _upload_oldest(self) -> bool:
        """Return whether there was something to upload. Raises `OSError`."""
        waiting = self._buffer.waiting()
        if not waiting:
            return False
        oldest = waiting[0]
        with suppress(FileNotFoundError):  # it had to make room
            try:
                self._collector.upload(oldest.path.read_bytes(), self._closing)
            except RefusedError as error:
                LOG.warning("decision logs are lost: %s", error.strerror)
                self._dropped(oldest.events)
            oldest.path.unlink()
        return True
