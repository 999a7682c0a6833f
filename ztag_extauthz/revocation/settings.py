"""The settings of revocations."""

from typing import TYPE_CHECKING, get_args

from pydantic import Field, model_validator

from ztag_extauthz.authentication.jwks import JwksSettings, key_source
from ztag_extauthz.authentication.jwt import Algorithm
from ztag_extauthz.component import Resources
from ztag_extauthz.errors import Mistake, SettingsError
from ztag_extauthz.fetch import why_not_url
from ztag_extauthz.revocation.events import EventName, Sender
from ztag_extauthz.section import Seconds, Section
from ztag_extauthz.stores.redis import RedisSettings
from ztag_extauthz.stores.seal import Secret

if TYPE_CHECKING:
    from ztag_extauthz.revocation.receiver import Receiver, Transmitter
    from ztag_extauthz.revocation.register import Register


class OperatorSettings(Section):
    """Somebody who may revoke by `POST /revocations` at `listen.revocation`."""

    name: str = Field(pattern=r"^[A-Za-z0-9._@-]{1,64}$")
    """Who it is, for the log."""
    token: Secret
    """What it shows as `Authorization: Bearer`: at least 32 characters."""


class TransmitterSettings(Section):
    """Somebody whose security events count (Shared Signals), pushed to `POST /events` at `listen.revocation`."""

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
    speaks_for: tuple[str, ...] = ()
    """Issuers whose credentials it may revoke; left out: its own. A subject without an issuer is of the first one."""
    emails: bool = False
    """Credentials have e-mail addresses for subjects; otherwise events about an address are refused."""
    events: tuple[EventName, ...] = get_args(EventName)
    """Events that revoke; others are acknowledged, and nothing comes of them."""

    @model_validator(mode="after")
    def _discoverable(self) -> "TransmitterSettings":
        if self.jwks.file is None and self.jwks.url is None:
            why = why_not_url(self.issuer, insecure_http=self.jwks.insecure_http_keys)
            if why:
                raise ValueError(
                    f"no keys can be discovered: issuer {why}\nadd jwks: {{file: …}} or {{url: https://…}}"
                )
        return self

    def transmitter(self, resources: Resources) -> "Transmitter":
        """Return what the settings describe. Raises `SettingsError` where the file of keys cannot be used."""
        from ztag_extauthz.revocation.receiver import Transmitter  # noqa: PLC0415

        issuers = self.speaks_for or (self.issuer,)
        keys = key_source(self.jwks, self.issuer, self.algorithms, resources)
        return Transmitter(self, keys, Sender(issuers[0], self.emails, frozenset(self.events)), frozenset(issuers))


class RevocationSettings(Section):
    """Refuse what `ztag revoke`, operators or security events name, in all workers of all replicas within a second."""

    redis: RedisSettings
    """Where revocations are kept. A Redis that comes back without them gets them again from every worker."""
    secret: Secret
    """At least 32 characters, the same on all replicas: what was not written with it does not count."""
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

    def receiver(self, resources: Resources) -> "Receiver":
        """Build what takes security events. Raises `SettingsError` where a file of keys cannot be used."""
        from ztag_extauthz.revocation.receiver import Receiver  # noqa: PLC0415

        transmitters = []
        mistakes: list[Mistake] = []
        for index, settings in enumerate(self.transmitters):
            try:
                transmitters.append(settings.transmitter(resources))
            except SettingsError as error:
                mistakes += error.of(f"transmitters[{index}]")
        if mistakes:
            raise SettingsError(tuple(mistakes))
        return Receiver(transmitters, self.remember, resources.clock)

    def build(self, resources: Resources) -> "Register":
        """Build what a worker knows of revocations."""
        from ztag_extauthz.revocation.journal import journal  # noqa: PLC0415
        from ztag_extauthz.revocation.register import Register  # noqa: PLC0415

        return Register(self, journal(self), resources.clock)
