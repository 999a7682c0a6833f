"""Databases of places and lists of addresses, as the settings name them; a changed file is a reload."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from ztag_extauthz.errors import Mistake, SettingsError
from ztag_extauthz.stores.addresses import Place, locate, read_addresses, read_database

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

T = TypeVar("T")
REMEMBERED = 1 << 15


class Places:
    """Where addresses are."""

    def __init__(self, folder: Path, paths: Sequence[str]) -> None:
        self._databases: tuple[Any, ...] = tuple(usable(read_database, folder / path) for path in paths)
        self._find = lru_cache(REMEMBERED)(self._locate)

    def __call__(self, address: str) -> Place:
        return self._find(address)

    def _locate(self, address: str) -> Place:
        return locate(self._databases, address)


class AddressLists:
    """Whether any of the lists has an address."""

    def __init__(self, folder: Path, paths: Sequence[str]) -> None:
        self._lists = tuple(usable(read_addresses, folder / path) for path in paths)

    def __contains__(self, address: object) -> bool:
        return any(address in one for one in self._lists)


def usable(read: Callable[[Path], T], path: Path) -> T:
    """Return what `read` makes of a file that the settings name; raises `SettingsError`."""
    try:
        return read(path)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise SettingsError((Mistake(str(path), f"cannot be used: {why}"),)) from error
