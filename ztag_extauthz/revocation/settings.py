"""The settings of revocations."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self, TypeVar, get_args

from msgspec import Struct
from pydantic import Field, model_validator

from ztag_extauthz.authentication.jwks import JwksSettings, key_source
from ztag_extauthz.authentication.jwt import Algorithm
from ztag_extauthz.component import Resources
from ztag_extauthz.errors import Mistake, SettingsError
from ztag_extauthz.revocation.events import EventName, Sender
from ztag_extauthz.section import Seconds, Section
from ztag_extauthz.stores.redis import RedisSettings
from ztag_extauthz.stores.seal import Secret, SharedSecret, secret_of

if TYPE_CHECKING:
    from ztag_extauthz.revocation.receiver import Receiver, Transmitter
    from ztag_extauthz.revocation.register import Register

T = TypeVar("T")


class OperatorSettings(Section):
    """Somebody who may revoke by `POST /revocations` at `listen.revocation`."""

    file_fields: ClassVar[tuple[str, ...]] = ("token_file",)

    name: str = Field(pattern=r"^[A-Za-z0-9._@-]{1,64}$")
    """Who it is, for the log."""
    token: Secret | None = None
    """What it shows as `Authorization: Bearer`: at least 32 characters."""
    token_file: str | None = None
    """Instead of `token`: a file with it alone."""

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        if (self.token is None) == (self.token_file is None):
            raise ValueError("the token has to be said once\ngive either token or token_file")
        return self

    def shown(self, folder: Path) -> bytes:
        """Return the token. Raises `SettingsError` where its file cannot be used."""
        return secret_of(self.token, self.token_file, folder, "token_file")


class TransmitterSettings(Section):
    """Somebody whose security events count (Shared Signals), pushed to `POST /events` at `listen.revocation`."""

    file_fields: ClassVar[tuple[str, ...]] = ("authorization_file",)

    issuer: str = Field(min_length=1)
    """`iss` of its tokens, compared byte for byte."""
    audiences: tuple[str, ...] = Field(min_length=1)
    """`aud` has to name one of these."""
    algorithms: tuple[Algorithm, ...] = Field(min_length=1)
    """The only algorithms that are accepted."""
    jwks: JwksSettings = JwksSettings(discovery="ssf")
    """Where its keys come from; left out: the transmitter's own metadata (`discovery: ssf`)."""
    authorization: Secret | None = None
    """The whole `authorization` header that the stream was set up with: at least 32 characters. Left out: whoever has a
    token that it signed may deliver it."""
    authorization_file: str | None = None
    """Instead of `authorization`: a file with it alone."""
    speaks_for: tuple[str, ...] = ()
    """Issuers whose credentials it may revoke; left out: its own. A subject without an issuer is of the first one."""
    emails: bool = False
    """Credentials have e-mail addresses for subjects; otherwise events about an address are refused."""
    events: tuple[EventName, ...] = get_args(EventName)
    """Events that revoke; others are acknowledged, and nothing comes of them."""

    @model_validator(mode="after")
    def _said_once(self) -> Self:
        if self.authorization is not None and self.authorization_file is not None:
            raise ValueError("authorization is said twice\ngive either authorization or authorization_file")
        return self

    @model_validator(mode="after")
    def _discoverable(self) -> "TransmitterSettings":
        self.jwks.check_discovery(self.issuer)
        return self

    def transmitter(self, resources: Resources) -> "Transmitter":
        """Return what the settings describe. Raises `SettingsError` where a file cannot be used."""
        from ztag_extauthz.revocation.receiver import Transmitter  # noqa: PLC0415

        issuers = self.speaks_for or (self.issuer,)
        keys = key_source(self.jwks, self.issuer, self.algorithms, resources)
        sender = Sender(issuers[0], self.emails, frozenset(self.events))
        return Transmitter(self, keys, sender, frozenset(issuers), self.shown(resources.folder))

    def shown(self, folder: Path) -> bytes | None:
        """Return the header that has to be shown. Raises `SettingsError` where its file cannot be used."""
        if self.authorization is None and self.authorization_file is None:
            return None
        return secret_of(self.authorization, self.authorization_file, folder, "authorization_file")


class Secrets(Struct, frozen=True):
    """The secrets of the settings, and of the files that they name."""

    journal: bytes
    operators: tuple[bytes, ...]
    """Their tokens, in the settings' order."""
    transmitters: tuple[bytes | None, ...]


class RevocationSettings(SharedSecret):
    """Refuse what `ztag revoke`, operators or security events name, in all workers of all replicas within a second."""

    redis: RedisSettings
    """Where revocations are kept. A Redis that comes back without them gets them again from every worker."""
    interval: Seconds = Field(default=0.2, le=1)
    """Seconds between two looks at what is new."""
    max_stale: Seconds | None = None
    """Seconds without an answer of Redis after which requests are errors; left out: what is known goes on to be
    refused, and nothing new is learnt. Until Redis answered for the first time, requests are errors either way."""
    remember: Seconds = 86400.0
    """Seconds that a revocation is kept: as long as the longest credential is valid."""

    operators: tuple[OperatorSettings, ...] = ()
    """Who may revoke over the network."""
    transmitters: tuple[TransmitterSettings, ...] = ()
    """Whose security events revoke."""

    def secrets(self, folder: Path) -> Secrets:
        """Read them; `folder` is that of the configuration. Raises `SettingsError` where a file cannot be used."""
        operators = _each("operators", [partial(one.shown, folder) for one in self.operators])
        transmitters = _each("transmitters", [partial(one.shown, folder) for one in self.transmitters])
        return Secrets(self.key(folder), operators, transmitters)

    def receiver(self, resources: Resources) -> "Receiver":
        """Build what takes security events. Raises `SettingsError` where a file cannot be used."""
        from ztag_extauthz.revocation.receiver import Receiver  # noqa: PLC0415

        transmitters = _each("transmitters", [partial(one.transmitter, resources) for one in self.transmitters])
        return Receiver(transmitters, self.remember, resources.clock)

    def build(self, resources: Resources) -> "Register":
        """Build what a worker knows of revocations. Raises `SettingsError` where a file cannot be used."""
        from ztag_extauthz.revocation.journal import journal  # noqa: PLC0415
        from ztag_extauthz.revocation.register import Register  # noqa: PLC0415

        return Register(self, journal(self, resources.folder), resources.clock)


def _each(setting: str, takes: Sequence[Callable[[], T]]) -> tuple[T, ...]:
    """Return what each gives; raises `SettingsError` with the mistakes of all, placed in the list `setting`."""
    found: list[T] = []
    mistakes: list[Mistake] = []
    for index, take in enumerate(takes):
        try:
            found.append(take())
        except SettingsError as error:
            mistakes += error.of(f"{setting}[{index}]")
    if mistakes:
        raise SettingsError(tuple(mistakes))
    return tuple(found)
