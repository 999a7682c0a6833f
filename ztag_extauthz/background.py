"""Work that nobody waits for: a bounded queue, and a thread that empties it.

1. put   puts an item into the queue; a queue that is full, of items or of bytes, drops it and counts that. Neither
         raises nor waits
2. work  the thread takes what is there, `batch` items at most; what goes wrong costs items, never a request
"""

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import Generic, TypeVar

from ztag_extauthz.model import Request

T = TypeVar("T")

PAUSE = 0.02
"""Seconds that items gather, unless the queue is half full; so that the thread seldom takes the interpreter's lock."""
MAX_BYTES = 64 * 1024 * 1024
"""Bytes that a queue holds, those of the batch under way too: items of a client's size cost a worker no more."""
LAST_WORDS = 5.0
"""Seconds that the thread has to do what is left when it is closed."""


def weight(request: Request) -> int:
    """Return about how many bytes a request keeps while it waits: Envoy's message, and what was read of it."""
    return 2 * (len(request.body or b"") + len(request.path) + sum(map(len, request.headers.values()))) + 4096


def complain(text: str) -> None:
    """Write a line to stderr; a full disk, or nobody at the other end, ends nothing else."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)  # noqa: T201


class Background(Generic[T]):
    """Keeps the queue and the thread."""

    def __init__(  # noqa: PLR0913 - the last four are bounds
        self,
        name: str,
        work: Callable[[Sequence[T]], None],
        dropped: Callable[[int], None],
        *,
        max_waiting: int,
        max_bytes: int = MAX_BYTES,
        batch: int = 128,
        pause: float = PAUSE,
    ) -> None:
        """Take what does the work (it may block and raise) and what counts lost items; a failure tells the `name`."""
        self._name = name
        self._work = work
        self._dropped = dropped
        self._max_waiting = max_waiting
        self._max_bytes = max_bytes
        self._size = batch
        self._pause = pause
        self._full = Event()
        self._queue: deque[tuple[T, int]] = deque()
        # Two counts that one thread each writes need no lock; their difference is what is held.
        self._put_bytes = 0
        self._done_bytes = 0
        self._waiting = Event()
        self.closing = Event()
        """Set when it is time to come to an end: what waits between two tries waits for this."""
        self._counting = Lock()  # two threads count
        self._lost = False
        """Whether something of the batch is lost."""
        self._failing = False
        """Whether something of the batch before is: then it has been told."""
        self._thread: Thread | None = None

    def start(self) -> None:
        self._thread = Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    async def close(self) -> bool:
        """Do what waits, within `LAST_WORDS`; return whether the thread has ended, and holds nothing any more."""
        self.closing.set()
        self._full.set()
        self._waiting.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, LAST_WORDS)
            if self._thread.is_alive():
                return False
        # What came too late for the thread may wait for a server as well: not in the event loop.
        await asyncio.to_thread(self._drain)
        return True

    def put(self, item: T, size: int) -> None:
        """Take an item of so many bytes; of one thread."""
        held = self._put_bytes - self._done_bytes + size
        if len(self._queue) >= self._max_waiting or held > self._max_bytes:
            self.drop(1)
            return
        self._put_bytes += size
        self._queue.append((item, size))
        if len(self._queue) * 2 >= self._max_waiting or held * 2 >= self._max_bytes:
            self._full.set()
        if not self._waiting.is_set():
            self._waiting.set()

    def clear(self) -> None:
        """Forget what waits."""
        self._queue.clear()

    def drop(self, items: int) -> None:
        """Count items that are lost."""
        with self._counting:
            self._dropped(items)

    def _run(self) -> None:
        while not self.closing.is_set():
            self._waiting.wait()
            self._full.wait(self._pause)
            self._full.clear()
            self._waiting.clear()
            self._drain()

    def _drain(self) -> None:
        while batch := self._batch():
            self._lost = False
            try:
                self._work([item for item, _ in batch])
            except Exception as error:  # noqa: BLE001 - the thread goes on with the next items
                self.lose(error, len(batch))
            self._failing = self._lost
            self._done_bytes += sum(size for _, size in batch)

    def _batch(self) -> list[tuple[T, int]]:
        batch: list[tuple[T, int]] = []
        with suppress(IndexError):
            while len(batch) < self._size:
                batch.append(self._queue.popleft())
        return batch

    def lose(self, error: Exception, items: int) -> None:
        """Count what is lost; say so once, not once an item. Work calls it for a part, and raises where all is lost."""
        self.drop(items)
        self._lost = True
        if not self._failing:
            self._failing = True
            # What is no fault of the disk's may say in its words what stands in the item.
            why = error.strerror if isinstance(error, OSError) else type(error).__name__
            complain(f"ztag: {self._name} are lost: {why}")
