"""A file that is read again when it changes; a bad one keeps what was read before, and says why."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

from ztag_extauthz.component import Readiness
from ztag_extauthz.errors import Mistake, SettingsError

T = TypeVar("T")
INTERVAL = 5.0
"""Seconds between two looks."""


class Watched(Generic[T]):
    """What `read` makes of a file. Reading raises `OSError` or `ValueError` for a file that cannot be used."""

    def __init__(self, path: Path, read: Callable[[Path], T], what: str) -> None:
        self._path, self._read, self._what = path, read, what
        self._mistake = ""
        self._stamp = self._look()
        try:
            self.value = read(path)
        except (OSError, ValueError) as error:
            raise SettingsError((Mistake(str(path), f"{what} cannot be used: {error}"),)) from error
        self._task: asyncio.Task[None] | None = None

    def _look(self) -> tuple[int, int]:
        with suppress(OSError):
            found = self._path.stat()
            return found.st_mtime_ns, found.st_ino
        return 0, 0

    def refresh(self) -> bool:
        """Read the file if it has changed; return whether there is something new."""
        stamp = self._look()
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            self.value = self._read(self._path)
        except (OSError, ValueError) as error:
            self._mistake = f"kept what was read before: {error}"
            return False
        self._mistake = ""
        return True

    def readiness(self) -> Readiness:
        """Return that it is there, and what is wrong with its newer version."""
        return Readiness(f"{self._what} {self._path}", ready=True, detail=self._mistake)

    async def start(self) -> None:
        """Look at the file from time to time."""
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            await asyncio.to_thread(self.refresh)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
