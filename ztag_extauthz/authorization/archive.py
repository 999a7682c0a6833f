"""OPA bundles (`.tar.gz`), read as a stream within bounds.

A name that leads out of the archive, a link or a device is refused rather than skipped: nobody makes such a bundle by
accident. The manifest's roots are kept: what stands outside of them belongs to somebody else.
"""

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple

from ztag_extauthz.authorization import documents
from ztag_extauthz.authorization.documents import PACKAGE, DocumentError

MAX_ENTRIES: Final = 10_000
MAX_BYTES: Final = 256 * 1024 * 1024


class Source(NamedTuple):
    """One file, wherever it came from."""

    where: str
    """What mistakes call it."""
    path: PurePosixPath
    """Where it stands in its folder or bundle."""
    content: bytes


def read(path: Path, where: str) -> Iterator[Source]:
    """Yield a bundle's files; raises `DocumentError`, `tarfile.TarError`, `EOFError` or `OSError`."""
    files = list(_files(path, where))
    manifest = next((content for _, name, content in files if name == PurePosixPath(".manifest")), b"{}")
    roots = _roots(manifest)
    for file in files:
        _keep_roots(file, roots)
        yield file


def _files(path: Path, where: str) -> Iterator[Source]:
    total = 0
    with tarfile.open(path, "r|gz") as archive:
        for count, member in enumerate(archive):
            total += member.size
            if count >= MAX_ENTRIES or total > MAX_BYTES:
                raise DocumentError(f"holds more than {MAX_ENTRIES} files or {MAX_BYTES} bytes")
            name = _name(member.name)
            if member.isdir():
                continue
            content = archive.extractfile(member) if member.isreg() else None
            if content is None:
                raise DocumentError(f"holds {member.name!r}, which is no regular file")
            if name.name == "patch.json":
                raise DocumentError("is a delta bundle; give a snapshot")
            yield Source(f"{where}:{name}", name, content.read())


def _name(name: str) -> PurePosixPath:
    path = PurePosixPath(name.lstrip("/"))  # OPA's own bundles have names that begin with a slash
    if ".." in path.parts or "\\" in name or "\0" in name:
        raise DocumentError(f"holds {name!r}, which leads out of it")
    return path


def _roots(manifest: bytes) -> tuple[tuple[str, ...], ...]:
    try:
        document: Any = json.loads(manifest)
    except ValueError:
        raise DocumentError("has a .manifest that is no JSON") from None
    if not isinstance(document, dict):
        raise DocumentError("has a .manifest that is no object")
    if document.get("rego_version", 1) != 1:
        raise DocumentError("holds Rego v0; write it anew with `opa fmt --v0-v1`")
    roots = document.get("roots", [""])
    if not isinstance(roots, list) or not all(isinstance(root, str) for root in roots):
        raise DocumentError("has a .manifest whose roots are no array of strings")
    return tuple(tuple(part for part in root.split("/") if part) for root in roots)


def _keep_roots(file: Source, roots: tuple[tuple[str, ...], ...]) -> None:
    where, path, content = file
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
        raise DocumentError(f"holds {where.partition(':')[2]}, which is outside of its roots")
