"""Databases of places, and lists of addresses, that the settings name."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ztag_extauthz.stores.addresses import AddressSet, Place, locate, read_addresses, read_database
from ztag_extauthz.stores.watched import Watched

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ztag_extauthz.component import Readiness

REMEMBERED = 1 << 15


class Places:
    """Where addresses are; the databases are read again when they change."""

    def __init__(self, folder: Path, paths: Sequence[str]) -> None:
        self._databases: list[Watched[Any]] = [Watched(folder / path, read_database, "places") for path in paths]
        self._find = lru_cache(REMEMBERED)(self._locate)
        self._versions = self._values()

    def __call__(self, address: str) -> Place:
        if self._versions != (values := self._values()):
            self._versions = values
            self._find.cache_clear()
        return self._find(address)

    def _values(self) -> list[Any]:
        return [database.value for database in self._databases]

    def _locate(self, address: str) -> Place:
        return locate(self._versions, address)

    async def start(self) -> None:
        for database in self._databases:
            await database.start()

    async def close(self) -> None:
        for database in self._databases:
            await database.close()

    def readiness(self) -> tuple[Readiness, ...]:
        return tuple(database.readiness() for database in self._databases)


class AddressLists:
    """Whether any of the lists has an address; they are read again when they change."""

    def __init__(self, folder: Path, paths: Sequence[str]) -> None:
        self._lists: list[Watched[AddressSet]] = [Watched(folder / path, read_addresses, "addresses") for path in paths]

    def __contains__(self, address: object) -> bool:
        return any(address in one.value for one in self._lists)

    async def start(self) -> None:
        for one in self._lists:
            await one.start()

    async def close(self) -> None:
        for one in self._lists:
            await one.close()

    def readiness(self) -> tuple[Readiness, ...]:
        return tuple(one.readiness() for one in self._lists)
