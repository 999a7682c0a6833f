"""Shared memory of one node: named blocks that every worker maps, and that end with their supervisor.

A block is a file in a folder of its own on tmpfs. So a worker needs a path and nothing else to find it, whether it was
forked, spawned or started by hand, and a block outlives the worker that made it and every reload of the settings.
"""

import fcntl
import mmap
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

ROOT = Path("/dev/shm")  # noqa: S108 - the folder of a process is made by mkdtemp: random name, mode 0700
_OWNED = "owner"
_CONFIG = "config"
JUST_MADE = 60.0
"""Seconds in which a folder's supervisor may still be about to lock it."""


class SharedMemory(Struct, frozen=True):
    """Named blocks in a folder. Can be pickled."""

    folder: Path

    def __call__(self, name: str, size: int, initial: bytes = b"") -> memoryview:
        """Return the block `name` of `size` bytes: zeros after `initial` where it is new, else as the others left it.

        A block of another size is another block. Raises `OSError` where there is no room.
        """
        descriptor = os.open(self.folder / f"{name}.{size}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_size == 0:
                # Room is taken now: a full tmpfs is an error at the start, not a SIGBUS under load.
                os.posix_fallocate(descriptor, 0, size)
                os.pwrite(descriptor, initial, 0)
            # mmap keeps a duplicate of the descriptor, and with it a lock that is not given back here.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            return memoryview(mmap.mmap(descriptor, size, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE))
        finally:
            os.close(descriptor)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep every other process that asks for it from what the context does."""
        with (self.folder / "lock").open("w") as locked:
            fcntl.flock(locked, fcntl.LOCK_EX)
            yield


@contextmanager
def shared_memory(root: Path | None = None, config: Path | None = None) -> Iterator[SharedMemory]:
    """Make shared memory that lasts as long as the context; the supervisor's, so that it outlives any worker.

    Commands find it by the configuration file. Folders of supervisors that were killed are removed first: a dead
    process holds no lock.
    """
    root = root or _root()
    for folder in root.glob("ztag-*"):
        _remove_if_dead(folder)
    folder = Path(tempfile.mkdtemp(prefix="ztag-", dir=root))
    with (folder / _OWNED).open("w") as owned:
        fcntl.flock(owned, fcntl.LOCK_EX)
        if config is not None:
            (folder / _CONFIG).write_text(str(config.absolute()))
        try:
            yield SharedMemory(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def of_servers(config: Path, root: Path | None = None) -> list[SharedMemory]:
    """Return the shared memory of this user's servers that run under a configuration file."""
    folders = (root or _root()).glob("ztag-*")
    return [SharedMemory(folder) for folder in folders if _serves(folder, str(config.absolute()))]


def _serves(folder: Path, config: str) -> bool:
    """Return whether a folder is of a process of ours that is alive, and runs under that file."""
    try:
        if folder.lstat().st_uid != os.getuid() or (folder / _CONFIG).read_text() != config:
            return False
        with (folder / _OWNED).open() as owned:
            fcntl.flock(owned, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return isinstance(error, BlockingIOError)
    return False


def _root() -> Path:
    return ROOT if ROOT.is_dir() else Path(tempfile.gettempdir())


def _remove_if_dead(folder: Path) -> None:
    try:
        if time.time() - folder.stat().st_mtime < JUST_MADE:
            return
        with (folder / _OWNED).open() as owned:
            fcntl.flock(owned, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        return  # alive, or of another user
