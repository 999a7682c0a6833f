"""Policies and data from files, folders and bundles, with every mistake at once.

A folder is read as OPA reads a bundle: each `.rego` file is a module, each `data.json`, `data.yaml` or `data.yml` is
placed in `data` by the folders on its way; anything else is left alone. A file that is named by itself is placed at the
root. Nothing is ever unpacked to disk.
"""

import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any, Final

from msgspec import Struct

from ztag_extauthz.authorization.bundle import archive, documents
from ztag_extauthz.authorization.bundle.archive import Source, Verify
from ztag_extauthz.authorization.bundle.documents import DocumentError
from ztag_extauthz.authorization.engines.interface import Version
from ztag_extauthz.errors import Mistake, PolicyError
from ztag_extauthz.model import EMPTY

MAX_FILE_BYTES: Final = 64 * 1024 * 1024
DATA_FILES: Final = frozenset({"data.json", "data.yaml", "data.yml"})
DATA_SUFFIXES: Final = frozenset({".json", ".yaml", ".yml"})
_REMEDY: Final = "give .rego files, data.json or data.yaml, folders, or .tar.gz bundles"


class Bundle(Struct, frozen=True):
    """All policies and all data of one load."""

    modules: Mapping[str, str]
    """Rego text by file name, as mistakes name it."""
    data: Mapping[str, Any]
    version: Version = Version()


class Found(Struct, frozen=True):
    """What could be read, and what is wrong with the rest."""

    bundle: Bundle
    mistakes: tuple[Mistake, ...]
    has_all_modules: bool
    """At most data is missing, so that what a module refers to, and no module defines, is a mistake of its own."""


class _Collector:
    """Modules, data and mistakes, as they are found."""

    def __init__(self, *, tests: bool, verify: Verify | None) -> None:
        self.tests = tests
        self.verify = verify
        self.modules: dict[str, str] = {}
        self.data: dict[str, Any] = {}
        self.mistakes: list[Mistake] = []
        self.mistakes_of_data = 0
        self.revisions: list[str] = []
        self._digest = blake2b(digest_size=16)

    def blame(self, where: str, what: str, remedy: str = "") -> None:
        self.mistakes.append(Mistake(where, what, remedy))

    def version(self) -> Version:
        digest = self._digest.digest()
        return Version(",".join(self.revisions) or digest.hex()[:12], digest)

    def add(self, source: Source, *, at: tuple[str, ...]) -> None:
        # Where a folder stands changes no answer, so the same policies have the same version on every node.
        name = f"{'/'.join(at)}\0{source.path}\0{len(source.content)}\0".encode(errors="surrogateescape")
        self._digest.update(name + source.content)
        try:
            if source.path.suffix == ".rego":
                self.modules[source.where] = documents.rego(source.content)
            else:
                documents.merge(self.data, documents.place(documents.data(source.path.name, source.content), at))
        except DocumentError as error:
            self.blame(f"{source.where}{error.place}", str(error))
            self.mistakes_of_data += source.path.suffix != ".rego"


def load(
    paths: Sequence[str],
    folder: Path,
    *,
    tests: bool = False,
    verify: Verify | None = None,
    fetched: Mapping[str, bytes] = EMPTY,
) -> Bundle:
    """Read what the settings name, relative to a folder, and bundles by the names that mistakes call them by.

    A folder's tests (`*_test.rego`) are no policies, and are left alone unless they are asked for; a bundle's always.
    Bundles are verified, where there is something to do it. Raises `PolicyError` with every mistake.
    """
    found = read(paths, folder, tests=tests, verify=verify, fetched=fetched)
    if found.mistakes:
        raise PolicyError(found.mistakes)
    return found.bundle


def read(
    paths: Sequence[str],
    folder: Path,
    *,
    tests: bool = False,
    verify: Verify | None = None,
    fetched: Mapping[str, bytes] = EMPTY,
) -> Found:
    """Read like `load`, and tell mistakes beside what could be read."""
    collector = _Collector(tests=tests, verify=verify)
    for path in paths:
        _read(folder / path, path, collector)
    for name, content in fetched.items():
        with _blaming(name, collector):
            _unpack(BytesIO(content), name, collector)
    if not collector.modules and not collector.mistakes:
        collector.blame(", ".join([*paths, *fetched]), "no .rego file", _REMEDY)
    loaded = Bundle(collector.modules, collector.data, collector.version())
    mistakes = tuple(collector.mistakes)
    return Found(loaded, mistakes, len(mistakes) == collector.mistakes_of_data)


def _read(path: Path, where: str, collector: _Collector) -> None:
    with _blaming(where, collector):
        if path.is_dir():
            for source in _walk(path, where):
                _place(source, collector)
        elif where.endswith((".tar.gz", ".tgz")):
            _unpack(path, where, collector)
        elif path.suffix == ".rego" or path.suffix in DATA_SUFFIXES:
            collector.add(Source(where, PurePosixPath(path.name), _bounded(path)), at=())
        elif path.exists():
            collector.blame(where, "is no policy, data, folder or bundle", _REMEDY)
        else:
            collector.blame(where, "does not exist")


@contextmanager
def _blaming(where: str, collector: _Collector) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        collector.blame(where, f"cannot be read: {error.strerror or error}")
    except (DocumentError, tarfile.TarError) as error:
        collector.blame(where, str(error))
    except Exception as error:  # noqa: BLE001 - whatever a reader of files trips over, the file is at fault
        collector.blame(where, f"cannot be read: {type(error).__name__}")


def _unpack(path: Path | BytesIO, where: str, collector: _Collector) -> None:
    sources, revision = archive.read(path, where, collector.verify)
    collector.revisions += [revision] if revision else []
    for source in sources:
        _place(source, collector)


def _place(source: Source, collector: _Collector) -> None:
    if source.path.name in DATA_FILES:
        collector.add(source, at=source.path.parent.parts)
    elif source.path.suffix == ".rego" and (collector.tests or not source.path.name.endswith("_test.rego")):
        collector.add(source, at=())


def _walk(folder: Path, where: str, above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[Source]:
    """Yield a folder's files in order; hidden ones are no policies (`.git`, the `..data` of a mounted ConfigMap).

    `above` are devices and inodes of the folders on the way: a link back to one of them would never end.
    """
    found = folder.stat()
    own = (found.st_dev, found.st_ino)
    if own in above:
        raise DocumentError(f"holds {where!r}, a link to a folder that it stands in")
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        name = f"{where.rstrip('/')}/{entry.name}"
        if entry.is_dir():
            for source in _walk(entry, name, above | {own}):
                yield Source(source.where, PurePosixPath(entry.name) / source.path, source.content)
        elif entry.suffix == ".rego" or entry.name in DATA_FILES:
            yield Source(name, PurePosixPath(entry.name), _bounded(entry))


def _bounded(path: Path) -> bytes:
    if path.stat().st_size > MAX_FILE_BYTES:
        raise DocumentError(f"is larger than {MAX_FILE_BYTES} bytes")
    return path.read_bytes()
