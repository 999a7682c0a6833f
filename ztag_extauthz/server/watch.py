"""Whether files have changed since they were last looked at."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

Fingerprint: TypeAlias = Mapping[str, tuple[int, int, int] | None]
"""Of each file: inode, size in bytes, time of change in ns; None for one that is missing."""


def fingerprint(paths: Iterable[Path]) -> Fingerprint:
    """Look at files, and at all that folders hold.

    Links are followed: a mounted ConfigMap changes by one link that then leads elsewhere.
    """
    found: dict[str, tuple[int, int, int] | None] = {}
    for path in paths:
        found[str(path)] = _look(path)
        for folder, _, names in os.walk(path):
            for name in names:
                found[f"{folder}/{name}"] = _look(Path(folder, name))
    return found


def _look(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
