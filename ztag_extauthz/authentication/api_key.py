"""API keys: found by a keyed hash, in a file that is read with the settings or in a Redis that is asked."""

import asyncio
from collections.abc import Callable
from hashlib import sha1
from time import monotonic
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from ztag_extauthz.again import ALWAYS, UNLIKE_HEADERS, Again
from ztag_extauthz.authentication.bearer import Bearer
from ztag_extauthz.authentication.interface import Authenticator
from ztag_extauthz.authentication.key_records import (
    MIN_SECRET_BYTES,
    KeyRecord,
    KeyRecordError,
    KeySecret,
    decode,
    read_file,
    read_secret,
)
from ztag_extauthz.authentication.token_reader import FIELD_NAME
from ztag_extauthz.component import Resources
from ztag_extauthz.errors import DeadlineError, Mistake, SettingsError, UnavailableError
from ztag_extauthz.model import Deny, Identity, Request
from ztag_extauthz.section import Section
from ztag_extauthz.stores.redis import RedisSettings, RedisStore

REDIS_KEY = b"ztag:api-keys"
"""A hash: the key's digest → its record."""
_SCRIPT = "return redis.call('HGET', KEYS[1], ARGV[1])"
_DIGEST = sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()
MAX_KEY_CHARACTERS = 256
MAX_REMEMBERED = 10_000
SKEW = 1.0
"""Seconds: what would be remembered for longer than `max_age` and this is from before the clock was set back."""


class ApiKeySettings(Section):
    """Accept API keys that `ztag key create` made."""

    file_fields: ClassVar[tuple[str, ...]] = ("file", "secret_file")

    kind: Literal["api_key"]
    secret_file: str
    """File with the secret that keys are hashed with; `ztag key create` makes it where there is none."""
    file: str | None = None
    """File with the keys' records, a line each."""
    redis: RedisSettings | None = None
    """Redis with the keys' records, instead of a file."""
    max_age: float = Field(default=1.0, ge=0, le=60, allow_inf_nan=False)
    """Seconds that what Redis said of a key is believed: so long may a revoked key be used."""
    header: str = Field(default="x-api-key", pattern=FIELD_NAME)
    """The request header with the key."""
    prefix: str = Field(default="", pattern=r"^[A-Za-z0-9-]*$")
    """A scheme before the key."""
    realm: str = Field(default="ztag", pattern=r"^[ !#-\[\]-~]*$")
    """`realm` of the challenge in 401 answers."""

    @model_validator(mode="after")
    def _one_place(self) -> "ApiKeySettings":
        if (self.file is None) == (self.redis is None):
            raise ValueError("does not have exactly one of file and redis\nsay where the keys' records are")
        if self.header.lower() == "authorization" and not self.prefix:
            raise ValueError("header is authorization, but there is no prefix\nadd prefix: ApiKey")
        return self

    def build(self, resources: Resources) -> "ApiKey":
        """Build a reader of keys. Raises `SettingsError` where the secret or the records cannot be used."""
        setting = "secret_file"
        try:
            secret = read_secret(resources.folder / self.secret_file)
            setting = "file"
            records = read_file(resources.folder / self.file, secret) if self.file else ()
        except KeyRecordError as error:
            remedy = f"ztag key create makes both; the secret has at least {MIN_SECRET_BYTES} bytes"
            raise SettingsError((Mistake("", str(error), remedy, setting),)) from error
        bearer = Bearer(self.header.lower(), f"{self.prefix.lower()} " if self.prefix else "", self.realm)
        place = bearer if not self.prefix else Bearer(bearer.header, bearer.prefix, bearer.realm, scheme=self.prefix)
        if self.redis is None:
            return ApiKey(place, secret, records, None, resources)
        shared = SharedKeys(RedisStore(self.redis, monotonic, "API keys"), secret, self.max_age, resources.clock)
        return ApiKey(place, secret, (), shared, resources)


class ApiKey(Authenticator):
    """Knows every key by its hash."""

    kind = "api_key"

    def __init__(
        self,
        bearer: Bearer,
        secret: KeySecret,
        records: tuple[KeyRecord, ...],
        shared: "SharedKeys | None",
        resources: Resources,
    ) -> None:
        self.bearer = bearer
        self._digest = secret.digest
        self._identities = {bytes.fromhex(record.hash): identity_of(record) for record in records}
        self._shared = shared
        self._clock = resources.clock

    def challenge(self) -> str:
        scheme = self.bearer.scheme if self.bearer.header == "authorization" else "ApiKey"
        return f'{scheme} realm="{self.bearer.realm}"'

    def bearers(self) -> tuple[Bearer, ...]:
        return (self.bearer,)

    async def authenticate(self, request: Request, deadline: float) -> Identity | Deny | None:
        """See `Authenticator.authenticate`."""
        key = self.bearer.token_of(request)
        if key is None or isinstance(key, Deny):
            return key
        if len(key) > MAX_KEY_CHARACTERS or not key.isascii():
            return self.bearer.invalid("the key is too long or not ASCII")
        digest = self._digest(key)
        identity = self._identities.get(digest)
        if identity is None and self._shared is not None:
            identity = await self._shared.find(digest, deadline)
        if identity is None:
            return self.bearer.invalid("the key is not known")
        if identity.expires_at is not None and self._clock() >= identity.expires_at:
            return self.bearer.invalid("the key has expired")
        return identity

    def again(self, request: Request, said: Identity | None) -> Again | None:  # noqa: ARG002 - its key is the same
        if self.bearer.header in UNLIKE_HEADERS or (said is not None and self._shared is not None):
            return None
        expires = None if said is None else said.expires_at
        return ALWAYS if expires is None else Again(lambda now: now < expires)

    async def start(self) -> None:
        if self._shared is not None:
            self._shared.start()

    async def close(self) -> None:
        if self._shared is not None:
            await self._shared.close()


class SharedKeys:
    """The keys that Redis knows, each remembered for a moment, and so are those that it does not know."""

    def __init__(self, store: RedisStore, secret: KeySecret, max_age: float, clock: Callable[[], float]) -> None:
        """`max_age` in seconds, `clock` in Unix seconds."""
        self._store = store
        self._secret = secret
        self._max_age = max_age
        self._clock = clock
        self._known: dict[bytes, tuple[Identity | None, float]] = {}

    async def find(self, digest: bytes, deadline: float) -> Identity | None:
        """Return whose key has this digest. Raises `UnavailableError` or `DeadlineError` where nobody can say."""
        now = self._clock()
        known = self._known.get(digest)
        if known is not None and 0.0 < known[1] - now < self._max_age + SKEW:
            return known[0]
        try:
            async with asyncio.timeout(max(0.0, deadline - monotonic())):
                found = await self._store.run(_SCRIPT, _DIGEST, (REDIS_KEY,), (digest.hex(),))
        except TimeoutError as error:
            raise DeadlineError("redis does not say in time whose key it is") from error
        identity = None if found is None else self._identity(found, digest)
        if len(self._known) >= MAX_REMEMBERED:
            self._known.clear()
        self._known[digest] = identity, now + self._max_age
        return identity

    def _identity(self, found: bytes, digest: bytes) -> Identity:
        try:
            record = decode(found, self._secret)
        except KeyRecordError as error:
            raise UnavailableError(f"redis: {error}") from error
        if record.hash != digest.hex():
            raise UnavailableError(f"redis: the record of key {record.id} stands in another's place")
        return identity_of(record)

    def start(self) -> None:
        """Connect to Redis in the background."""
        self._store.start()

    async def close(self) -> None:
        """Close the connections to Redis."""
        await self._store.close()


def identity_of(record: KeyRecord) -> Identity:
    """Return whom a key stands for."""
    expires = None if record.expires_at is None else float(record.expires_at)
    return Identity(record.subject, "", ApiKey.kind, {"key_id": record.id}, expires, record.scopes)
