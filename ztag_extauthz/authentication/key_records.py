"""API keys as they are stored: never the key, only a keyed hash of it.

    ztag_<8 characters that name it>_<43 characters that are secret>

Who reads the records learns no key, and who can write them but does not have the secret can make none: each record is
sealed with it.
"""

import json
from collections.abc import Callable
from hashlib import blake2b
from hmac import compare_digest
from pathlib import Path
from secrets import token_hex, token_urlsafe

import msgspec
from msgspec import Struct, structs

from ztag_extauthz.errors import ZtagError

MIN_SECRET_BYTES = 32
LIVE = 2
"""Keys that a subject may have at the same time: the one in use, and the one that will replace it."""


class KeyRecordError(ZtagError):
    """A record, the file of records or the secret cannot be used."""


class KeyRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """One key."""

    id: str
    """What people call it; no secret."""
    hash: str
    """Keyed BLAKE2b-256 of the whole key, hexadecimal."""
    subject: str
    scopes: tuple[str, ...]
    created_at: int
    """Unix seconds."""
    expires_at: int | None
    """Unix seconds; None for never."""
    seal: str = ""
    """Keyed BLAKE2b-256 of all the rest, hexadecimal."""


class KeySecret:
    """The secret that hashes and seals."""

    def __init__(self, secret: bytes) -> None:
        """Take a secret. Raises `KeyRecordError` for one that is too short."""
        if len(secret) < MIN_SECRET_BYTES:
            raise KeyRecordError(f"the secret has fewer than {MIN_SECRET_BYTES} bytes")
        self._begun = blake2b(digest_size=32, key=blake2b(secret, digest_size=32, person=b"ztag key hash").digest())
        self._seal = blake2b(secret, digest_size=32, person=b"ztag key seal").digest()

    def digest(self, key: str) -> bytes:
        """Return what a key is found by."""
        one = self._begun.copy()
        one.update(key.encode())
        return one.digest()

    def sealed(self, record: KeyRecord) -> KeyRecord:
        return structs.replace(record, seal=self._seal_of(record))

    def is_sealed(self, record: KeyRecord) -> bool:
        return compare_digest(record.seal.encode(), self._seal_of(record).encode())

    def _seal_of(self, record: KeyRecord) -> str:
        content = msgspec.json.encode(structs.replace(record, seal=""))
        return blake2b(content, digest_size=32, key=self._seal).hexdigest()


def make(
    secret: KeySecret, subject: str, scopes: tuple[str, ...], now: float, lifetime: float | None
) -> tuple[str, KeyRecord]:
    """Return a new key and its record. `now` in Unix seconds, `lifetime` in seconds.

    Raises `KeyRecordError` for a key of nobody, and for a scope that would be read as several or none.
    """
    if not subject.strip():
        raise KeyRecordError("the subject is empty: name whom the key stands for")
    if wrong := [scope for scope in scopes if not scope or " " in scope]:
        raise KeyRecordError(f"no scope: {', '.join(map(repr, wrong))} (write --scope once for each)")
    name = token_hex(4)
    key = f"ztag_{name}_{token_urlsafe(32)}"
    expires = None if lifetime is None else int(now + lifetime)
    record = KeyRecord(name, secret.digest(key).hex(), subject, scopes, int(now), expires)
    return key, secret.sealed(record)


def is_live(record: KeyRecord, now: float) -> bool:
    return record.expires_at is None or now < record.expires_at


def decode(text: bytes | str, secret: KeySecret) -> KeyRecord:
    """Return a record that was made with this secret. Raises `KeyRecordError`."""
    try:
        record = msgspec.json.decode(text, type=KeyRecord)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise KeyRecordError(f"a record cannot be read: {error}") from error
    if not secret.is_sealed(record):
        raise KeyRecordError(f"the record of key {record.id} was not made with this secret, or was changed since")
    return record


def encode(record: KeyRecord) -> str:
    return msgspec.json.encode(record).decode()


def read_secret(path: Path) -> KeySecret:
    """Return the secret of a file. Raises `KeyRecordError`."""
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise KeyRecordError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        return KeySecret(secret)
    except KeyRecordError as error:
        raise KeyRecordError(f"{path}: {error}") from error


def read_file(path: Path, secret: KeySecret) -> tuple[KeyRecord, ...]:
    """Return the records of a file, one on each line. Raises `KeyRecordError`."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyRecordError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    records = []
    for number, line in enumerate(lines, 1):
        try:
            records += [decode(line, secret)] if line.strip() else []
        except KeyRecordError as error:
            raise KeyRecordError(f"{path}:{number}: {error}") from error
    return tuple(records)


def change_file(
    path: Path, secret: KeySecret, change: Callable[[tuple[KeyRecord, ...]], tuple[KeyRecord, ...]]
) -> None:
    """Write what `change` makes of the records, as a whole or not at all; two that change at once wait for each other.

    Raises `KeyRecordError`.
    """
    from fcntl import LOCK_EX, flock  # noqa: PLC0415 - the command's business, not the server's

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        flock(lock, LOCK_EX)
        records = change(read_file(path, secret) if path.exists() else ())
        new = path.with_name(f".{path.name}.new")
        new.touch(mode=0o600)
        new.write_text("".join(f"{encode(record)}\n" for record in records), encoding="utf-8")
        new.replace(path)


def as_json(record: KeyRecord) -> str:
    """Return what may be shown of a record."""
    shown = {name: value for name, value in structs.asdict(record).items() if name not in {"hash", "seal"}}
    return json.dumps(shown)
