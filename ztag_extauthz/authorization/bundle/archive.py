"""OPA bundles (`.tar.gz`), read within bounds, and as a whole or not at all.

Half of a policy decides otherwise than the whole one does, and `tarfile` takes what it cannot read for the end. So the
sum and the length at the end of the stream have to be right, and nothing but the archive's end stands behind its files.
A name that leads out of the archive or occurs twice, a link or a device is refused rather than skipped: nobody makes
such a bundle by accident, and of two files with one name a signature speaks of one. The manifest's roots are kept: what
stands outside of them belongs to somebody else.
"""

import gzip
import json
import tarfile
import zlib
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple, TypeAlias

from ztag_extauthz.authorization.bundle import documents
from ztag_extauthz.authorization.bundle.documents import PACKAGE, DocumentError

MAX_ENTRIES: Final = 10_000
MAX_REVISION: Final = 256
"""Characters: it stands in every line of the audit log."""
MAX_BYTES: Final = 256 * 1024 * 1024
_DAMAGED: Final = "is cut off or damaged"


class Source(NamedTuple):
    """One file, wherever it came from."""

    where: str
    """What mistakes call it."""
    path: PurePosixPath
    """Where it stands in its folder or bundle."""
    content: bytes


Verify: TypeAlias = Callable[[Mapping[str, bytes]], None]
"""(content by name) → nothing; raises `DocumentError` where these are not the files that a trusted key has signed."""


class Archive(NamedTuple):
    """A bundle's files."""

    sources: list[Source]
    revision: str
    """What its manifest says; "" where it says nothing."""


def read(path: Path | BytesIO, where: str, verify: Verify | None = None) -> Archive:
    """Return a bundle's files; raises `DocumentError`, `tarfile.TarError` or `OSError`."""
    files = _files(path)
    if verify is not None:
        verify(files)
    manifest = _manifest(files.get(".manifest", b"{}"))
    roots = _roots(manifest)
    sources = [Source(f"{where}:{name}", PurePosixPath(name), content) for name, content in files.items()]
    for source in sources:
        _keep_roots(source, roots)
    return Archive(sources, _revision(manifest))


def _files(path: Path | BytesIO) -> dict[str, bytes]:
    """Return content by name, each name in its one spelling."""
    stream = _decompressed(path)
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=BytesIO(stream)) as archive:
        for count, member in enumerate(archive):
            if count >= MAX_ENTRIES:
                raise DocumentError(f"holds more than {MAX_ENTRIES} files")
            name = _name(member.name)
            if member.isdir():
                continue
            content = archive.extractfile(member) if member.isreg() and not member.issparse() else None
            if content is None:
                raise DocumentError(f"holds {member.name!r}, which is no regular file")
            if name.name == "patch.json":
                raise DocumentError("is a delta bundle; give a snapshot")
            if str(name) in files:
                raise DocumentError(f"holds {str(name)!r} twice; which one is meant, nobody can tell")
            files[str(name)] = content.read()
        if not _is_end(stream[archive.offset :]):
            raise DocumentError(_DAMAGED)
    return files


def _decompressed(path: Path | BytesIO) -> bytes:
    try:
        with gzip.open(path) as file:
            stream = file.read(MAX_BYTES + 1)  # at its end `gzip` compares the sum and the length
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise DocumentError(_DAMAGED) from None
    if len(stream) > MAX_BYTES:
        raise DocumentError(f"is larger than {MAX_BYTES} bytes")
    return stream


def _is_end(rest: bytes) -> bool:
    """Tell whether these are the empty blocks that an archive ends with: two at least."""
    return len(rest) >= 2 * tarfile.BLOCKSIZE and rest.count(0) == len(rest)


def _name(name: str) -> PurePosixPath:
    path = PurePosixPath(name.lstrip("/"))  # OPA's own bundles have names that begin with a slash
    if ".." in path.parts or "\\" in name or "\0" in name:
        raise DocumentError(f"holds {name!r}, which leads out of it")
    return path


def _manifest(content: bytes) -> dict[str, Any]:
    try:
        document: Any = json.loads(content)
    except (ValueError, RecursionError):
        raise DocumentError("has a .manifest that is no JSON") from None
    if not isinstance(document, dict):
        raise DocumentError("has a .manifest that is no object")
    if document.get("rego_version", 1) != 1:
        raise DocumentError("holds Rego v0; write it anew with `opa fmt --v0-v1`")
    return document


def _revision(manifest: dict[str, Any]) -> str:
    revision = manifest.get("revision", "")
    if not isinstance(revision, str) or len(revision) > MAX_REVISION or not revision.isprintable():
        raise DocumentError("has a .manifest whose revision is no short line of text")
    return revision


def _roots(manifest: dict[str, Any]) -> tuple[tuple[str, ...], ...]:
    roots = manifest.get("roots", [""])
    if not isinstance(roots, list) or not all(isinstance(root, str) for root in roots):
        raise DocumentError("has a .manifest whose roots are no array of strings")
    return tuple(tuple(part for part in root.split("/") if part) for root in roots)


def _keep_roots(file: Source, roots: tuple[tuple[str, ...], ...]) -> None:
    _, path, content = file
    if path.name.startswith("data."):
        at = path.parent.parts
        # A data file above a root may hold what the root is: OPA allows it as long as the names lead there.
        inside = any(at[: len(root)] == root or root[: len(at)] == at for root in roots)
    elif path.suffix == ".rego" and not path.name.endswith("_test.rego"):
        found = PACKAGE.search(documents.rego(content))
        package = tuple(found[1].split(".")) if found else ()
        inside = any(package[: len(root)] == root for root in roots)
    else:
        return
    if not inside:
        raise DocumentError(f"holds {path}, which is outside of its roots")
