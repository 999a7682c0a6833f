"""Requests from many connections at once, each kept open, and what became of them."""

import http.client
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from msgspec import Struct

from ztag_extauthz.demo.client import Ask, send_over


class Shot(Struct, frozen=True):
    """One request: when it was sent and answered (seconds of `time.monotonic`), and the status; 0 for none."""

    sent: float
    answered: float
    status: int


class Load:
    """Asks until it is stopped."""

    def __init__(self, edge: tuple[str, int], ask: Ask, connections: int = 8) -> None:
        self._edge = edge
        self._ask = ask
        self._stop = Event()
        self._shots: list[list[Shot]] = [[] for _ in range(connections)]
        self._threads = [Thread(target=self._run, args=(shots,), daemon=True) for shots in self._shots]

    @property
    def shots(self) -> list[Shot]:
        return [shot for shots in self._shots for shot in shots]

    def statuses(self) -> dict[int, int]:
        """Return how often each status came."""
        found: dict[int, int] = {}
        for shot in self.shots:
            found[shot.status] = found.get(shot.status, 0) + 1
        return found

    def wait_for(self, count: int) -> None:
        """Return when that many more requests have been answered."""
        goal = len(self.shots) + count
        while len(self.shots) < goal and any(thread.is_alive() for thread in self._threads):
            time.sleep(0.01)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, shots: list[Shot]) -> None:
        connection = http.client.HTTPConnection(*self._edge, timeout=20)
        while not self._stop.is_set():
            sent = time.monotonic()
            try:
                status = send_over(connection, self._ask).status
            except (OSError, http.client.HTTPException):
                status = 0
                connection.close()
            shots.append(Shot(sent, time.monotonic(), status))
        connection.close()


@contextmanager
def under_load(edge: tuple[str, int], ask: Ask) -> Iterator[Load]:
    load = Load(edge, ask)
    load.start()
    try:
        load.wait_for(200)
        yield load
    finally:
        load.stop()
