"""The last good bundle on disk: for a start without network, and for the other workers of the node.

Beside the bundle, an ordinary `.tar.gz`, stands a note with its ETag. Both are written under other names first, and the
note names the bundle's digest: whatever a crash leaves, the two fit together or the note counts for nothing.
"""

import os
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

import msgspec
from msgspec import Struct

_NOTE_BYTES: Final = 4096


class _Note(Struct, frozen=True):
    etag: str
    digest: str


class Kept(Struct, frozen=True):
    """A bundle as it came."""

    content: bytes
    etag: str = ""


class Keeper:
    """Keeps one bundle in a folder of ztag's own."""

    def __init__(self, folder: Path, url: str, max_bytes: int) -> None:
        name = blake2b(url.encode(), digest_size=8).hexdigest()
        self.bundle = folder / f"{name}.tar.gz"
        self._note = folder / f"{name}.json"
        self._max_bytes = max_bytes

    def stamp(self) -> tuple[int, int]:
        """Return what changes with every bundle that is put here; blocks for a look at a file."""
        try:
            status = self._note.stat()
        except OSError:
            return 0, 0
        return status.st_ino, status.st_mtime_ns

    def get(self) -> Kept | None:
        """Return the bundle, None where there is none. Raises `OSError`."""
        try:
            if self.bundle.stat().st_size > self._max_bytes:
                return None
            content = self.bundle.read_bytes()
        except FileNotFoundError:
            return None
        etag = ""
        with suppress(OSError, msgspec.DecodeError):
            with self._note.open("rb") as file:
                note = msgspec.json.decode(file.read(_NOTE_BYTES), type=_Note)
            etag = note.etag if note.digest == _digest(content) else ""
        return Kept(content, etag)

    def put(self, kept: Kept) -> None:
        """Keep another bundle. Raises `OSError`."""
        self.bundle.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(self.bundle, kept.content)
        _write(self._note, msgspec.json.encode(_Note(kept.etag, _digest(kept.content))))


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()


def _write(path: Path, content: bytes) -> None:
    """Replace a file as a whole; nobody else may read it."""
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
