"""Where lines go: standard output, or a file that several workers write and rotate together."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from errno import EACCES, EISDIR, ENOENT
from fcntl import LOCK_EX, flock
from pathlib import Path

from ztag_extauthz.errors import Mistake, SettingsError


class Sink(ABC):
    """Takes whole lines. Methods block and may raise `OSError`; what a failed write left is no line of its own."""

    _torn = False

    def check(self) -> None:  # noqa: B027 - most have nothing to look at
        """Raise `OSError` where `open` would, as far as that can be seen without changing anything."""

    def open(self) -> None:  # noqa: B027 - and nothing to open
        """Open what is written to. Raises `OSError`."""

    @abstractmethod
    def write(self, lines: Sequence[bytes]) -> None:
        """Write lines, each with its line feed. Raises `OSError`; then some may have been written."""

    @abstractmethod
    def close(self) -> None:
        """Give up what is open."""

    def _put(self, descriptor: int, data: bytes) -> None:
        if self._torn:
            data = b"\n" + data
        written = 0
        try:
            while written < len(data):
                written += os.write(descriptor, memoryview(data)[written:])
        finally:
            if written:
                self._torn = data[written - 1 : written] != b"\n"


class StandardOutput(Sink):
    """One pipe of all workers; a write of up to 4 KiB is one piece there (POSIX `PIPE_BUF`), so each line is one."""

    def write(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            self._put(1, line)

    def close(self) -> None:
        """Leave it open: it is not ours alone."""


class RotatingFile(Sink):
    """`path`, then `path.1` … `path.<backups>`, the oldest last.

    Any worker rotates when the file is full. The file's own lock makes it one at a time, and the others see by the
    inode that the name means another file now.
    """

    def __init__(self, path: Path, max_bytes: int, backups: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._backups = backups
        self._file: int | None = None

    def check(self) -> None:
        exists = self._path.exists()
        place = self._path if exists else self._path.parent
        if place.is_dir() is exists:
            code = EISDIR if exists else ENOENT
        else:
            code = 0 if os.access(place, os.W_OK) else EACCES
        if code:
            raise OSError(code, os.strerror(code), str(self._path))

    def open(self) -> None:
        """Open the file, or make it; a write does that too. Raises `OSError`."""
        if self._file is None:
            self._file = self._open()

    def write(self, lines: Sequence[bytes]) -> None:
        data = b"".join(lines)
        self._put(self._room_for(len(data)), data)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def _room_for(self, size: int) -> int:
        file = self._current()
        return self._rotate(file, size) if os.fstat(file).st_size + size > self._max_bytes else file

    def _current(self) -> int:
        if self._file is None or not self._is_named(self._file):
            return self._reopen()
        return self._file

    def _is_named(self, file: int) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(file))
        except FileNotFoundError:
            return False

    def _reopen(self) -> int:
        new = self._open()
        self.close()
        self._file = new
        return new

    def _rotate(self, file: int, size: int) -> int:
        held = os.dup(file)
        try:
            flock(held, LOCK_EX)
            full = os.fstat(held).st_size
            if self._is_named(file) and full and full + size > self._max_bytes:
                self._shift()
            return self._reopen()
        finally:
            os.close(held)  # and with it the lock

    def _shift(self) -> None:
        for number in range(self._backups, 0, -1):
            with suppress(FileNotFoundError):
                self._backup(number - 1).rename(self._backup(number))
        if not self._backups:
            self._path.unlink()

    def _backup(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path


def opened(step: Callable[[], None], file: str) -> None:
    """Take a step towards the file of the setting `to`. Raises `SettingsError` where that is not possible."""
    try:
        step()
    except OSError as error:
        what = f"cannot be written: {error.strerror}"
        raise SettingsError((Mistake(file, what, "name a file in a folder that exists", "to"),)) from error
