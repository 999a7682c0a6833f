"""Copies of the files that the configuration in force was built from.

A change that was refused leaves bad files on the disk, and a worker that starts anew would find nothing else there.
"""

import logging
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import TypeAlias

from ztag_extauthz.component import Resources
from ztag_extauthz.errors import MistakesError
from ztag_extauthz.settings import Settings
from ztag_extauthz.wiring import Gateway

_LOG = logging.getLogger("ztag.server")

LARGEST = 4 * 1024 * 1024
"""Bytes of a file or a folder that is copied; what is larger (a database) is left where it is."""

Build: TypeAlias = Callable[[Settings, Resources], Gateway]


class Keeper:
    """Keeps the last accepted files in a private folder. Those of `listen.tls` are not among them: keys stay put."""

    def __init__(self, root: Path, folder: Path) -> None:
        """`root` will be made; `folder` is what relative paths of the settings are relative to."""
        self._root = root
        self._root.mkdir(mode=0o700)
        self._folder = folder
        self._numbers = count(1)

    def copy(self, settings: Settings) -> Settings | None:
        """Return the settings with their paths leading to copies, None where no copy can be made. Blocks."""
        target = self._root / str(next(self._numbers))
        names = count()

        def move(path: str) -> str:
            source = self._folder / path
            if _size(source) > LARGEST:
                return str(source)
            copied = target / str(next(names)) / source.name
            copied.parent.mkdir(parents=True)
            if source.is_dir():
                # A mounted ConfigMap's own folders begin with a dot; what is to be read are links into them.
                shutil.copytree(source, copied, ignore=shutil.ignore_patterns(".*"))
            else:
                shutil.copy(source, copied)
            return str(copied)

        try:
            moved = settings.with_files(move)
        except (OSError, shutil.Error) as error:
            _LOG.warning("no copy of the configuration's files is kept for workers that start anew: %s", error)
            shutil.rmtree(target, ignore_errors=True)
            return None
        return moved.model_copy(update={"listen": settings.listen})

    def settle(self, *, accepted: bool) -> None:
        """Keep the newest copy only, if it is in force now; else remove it."""
        copies = sorted(self._root.iterdir(), key=lambda path: int(path.name))
        for unused in copies[:-1] if accepted else copies[-1:]:
            shutil.rmtree(unused, ignore_errors=True)


def build_or_kept(build: Build, settings: Settings, kept: Settings | None, resources: Resources) -> tuple[Gateway, str]:
    """Build from the files as they are now, or else from the kept ones; return also what was wrong with the former.

    Raises `MistakesError` where nothing was kept, or that cannot be used either.
    """
    try:
        return build(settings, resources), ""
    except MistakesError as error:
        if kept is None:
            raise
        try:
            return build(kept, resources), str(error)
        except MistakesError:
            raise error from None


def _size(path: Path) -> int:
    files = (file for file in path.rglob("*") if file.is_file()) if path.is_dir() else (path,)
    return sum(file.stat().st_size for file in files)
