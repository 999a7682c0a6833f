"""Where API keys' records are kept, as the command line changes them."""

import asyncio
from abc import ABC, abstractmethod
from hashlib import sha1
from pathlib import Path
from secrets import token_urlsafe
from time import monotonic
from typing import Any

from ztag_extauthz.authentication.api_key import REDIS_KEY, ApiKeySettings
from ztag_extauthz.authentication.key_records import (
    LIVE,
    KeyRecord,
    KeyRecordError,
    KeySecret,
    change_file,
    decode,
    encode,
    is_live,
    read_file,
    read_secret,
)
from ztag_extauthz.errors import UnavailableError
from ztag_extauthz.stores.redis import RedisSettings, RedisStore


class KeyStore(ABC):
    """Records that can be changed. All methods raise `KeyRecordError`."""

    def __init__(self, secret: KeySecret) -> None:
        self.secret = secret

    @abstractmethod
    def records(self) -> tuple[KeyRecord, ...]: ...

    @abstractmethod
    def add(self, record: KeyRecord, now: float) -> None:
        """Add a key, unless its subject has two that are alive. `now` in Unix seconds."""

    @abstractmethod
    def remove(self, name: str) -> bool:
        """Forget a key; return whether there was one."""


def open_store(settings: ApiKeySettings, folder: Path) -> KeyStore:
    """Return the records that the settings name, and make their secret where there is none."""
    path = folder / settings.secret_file
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(token_urlsafe(48))
    secret = read_secret(path)
    if settings.redis is not None:
        return RedisKeys(settings.redis, secret)
    return FileKeys(folder / str(settings.file), secret)


class FileKeys(KeyStore):
    """Records in a file."""

    def __init__(self, path: Path, secret: KeySecret) -> None:
        super().__init__(secret)
        self._path = path

    def records(self) -> tuple[KeyRecord, ...]:
        return read_file(self._path, self.secret) if self._path.exists() else ()

    def add(self, record: KeyRecord, now: float) -> None:
        def added(records: tuple[KeyRecord, ...]) -> tuple[KeyRecord, ...]:
            _check_room(records, record, now)
            return (*records, record)

        change_file(self._path, self.secret, added)

    def remove(self, name: str) -> bool:
        removed: list[KeyRecord] = []

        def rest(records: tuple[KeyRecord, ...]) -> tuple[KeyRecord, ...]:
            removed.extend(record for record in records if record.id == name)
            return tuple(record for record in records if record.id != name)

        change_file(self._path, self.secret, rest)
        return bool(removed)


class RedisKeys(KeyStore):
    """Records in Redis."""

    def __init__(self, settings: RedisSettings, secret: KeySecret) -> None:
        super().__init__(secret)
        self._settings = settings

    def records(self) -> tuple[KeyRecord, ...]:
        return tuple(decode(value, self.secret) for value in self._run("HVALS"))

    def add(self, record: KeyRecord, now: float) -> None:
        _check_room(self.records(), record, now)
        self._run("HSET", record.hash, encode(record))

    def remove(self, name: str) -> bool:
        hashes = [record.hash for record in self.records() if record.id == name]
        return bool(hashes and self._run("HDEL", *hashes))

    def _run(self, command: str, *arguments: str) -> Any:
        script = f"return redis.call('{command}', KEYS[1], unpack(ARGV))"
        digest = sha1(script.encode(), usedforsecurity=False).hexdigest()

        async def ask() -> Any:
            store = RedisStore(self._settings, monotonic)
            try:
                return await store.run(script, digest, (REDIS_KEY,), arguments)
            finally:
                await store.close()

        try:
            return asyncio.run(ask())
        except UnavailableError as error:
            raise KeyRecordError(str(error)) from error


def _check_room(records: tuple[KeyRecord, ...], new: KeyRecord, now: float) -> None:
    live = [record.id for record in records if record.subject == new.subject and is_live(record, now)]
    if len(live) >= LIVE:
        raise KeyRecordError(f"{new.subject} has {LIVE} keys already ({', '.join(live)}): revoke one of them first")
