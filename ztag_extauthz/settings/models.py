"""The sections of the configuration; those of the stages stand in the files that read them."""

import re
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, PrivateAttr, field_validator

from ztag_extauthz.admission import AdmissionSettings
from ztag_extauthz.assertion.settings import AssertionSettings
from ztag_extauthz.authentication import AuthenticatorSettings
from ztag_extauthz.authorization import AuthorizerSettings
from ztag_extauthz.fields import is_name
from ztag_extauthz.identity_headers import why_not
from ztag_extauthz.protected_resource import ProtectedResourceSettings
from ztag_extauthz.reporting import ReporterSettings
from ztag_extauthz.revocation.settings import RevocationSettings
from ztag_extauthz.section import Seconds, Section


class TlsSettings(Section):
    """TLS of a listener. The files are read again when they change."""

    file_fields: ClassVar[tuple[str, ...]] = ("certificate", "key", "client_ca")

    certificate: str
    """PEM file with the server's certificate chain."""
    key: str
    """PEM file with its private key."""
    client_ca: str | None = None
    """PEM file with the authorities that client certificates are verified against: mTLS."""
    allowed_clients: tuple[str, ...] = ()
    """SPIFFE ids (`spiffe://mesh.example/ns/edge/sa/envoy`; a certificate with several URIs has none) or DNS names that
    may ask; needs `client_ca`."""


class ListenSettings(Section):
    """Where ztag listens."""

    grpc: str = "127.0.0.1:9191"
    """`host:port` or `unix:///path.sock`. With several workers each has an endpoint of its own: the ports that follow,
    or `path.1.sock` … (an HTTP/2 connection stays with one process, so a shared port loads one worker only)."""
    admin: str = "127.0.0.1:9902"
    """`host:port` of `/livez`, `/readyz`, `/metrics` and `/version` over plain HTTP; anybody who reaches it may read
    them."""
    tls: TlsSettings | None = None
    """TLS of the gRPC listener; left out: plain text."""
    revocation: str | None = None
    """`host:port` where operators (`POST /revocations`) and transmitters of security events (`POST /events`) revoke;
    left out: nowhere."""
    revocation_tls: TlsSettings | None = None
    """TLS of that listener; left out: plain text."""
    insecure_plaintext: bool = False
    """Serve plain text on an address that is not loopback nor a UNIX socket, where a mesh does the encryption."""
    insecure_any_client: bool = False
    """Answer over TLS, on an address that is not loopback, whoever has no certificate (`tls.client_ca` left out) or any
    certificate of that authority (`tls.allowed_clients` left out)."""
    socket_mode: str = Field(default="0660", pattern=r"^0[0-7]{3}$")
    """The permissions of a UNIX socket's file, in octal and in quotes: who may write to it may ask."""

    @property
    def mode(self) -> int:
        """`socket_mode` as a number."""
        return int(self.socket_mode, 8)


class ServerSettings(Section):
    """How requests are served."""

    engine: Literal["h2corn", "grpcio"] = "h2corn"
    """The gRPC engine. `h2corn` (Rust) is several times faster, `grpcio` is the reference implementation."""
    workers: int = Field(default=1, ge=1, le=256)
    """Worker processes. On Kubernetes one a pod scales best."""
    max_in_flight: int = Field(default=512, ge=1)
    """Requests that one worker answers at the same time; more are refused at once with UNAVAILABLE."""
    max_message_bytes: int = Field(default=4 * 1024 * 1024, ge=1024)
    """The largest CheckRequest; a larger one is refused with RESOURCE_EXHAUSTED."""
    default_deadline: Seconds = 1.0
    """Seconds for a request whose caller sets no `grpc-timeout`."""
    max_recurring: int = Field(default=20_000, ge=0, le=1_000_000)
    """Requests that one worker knows again as a whole, without reading them; about 2 kB each. 0: none, which also saves
    what the compiled code takes: some 50 MB of memory and a second of CPU at the start."""
    drain_delay: float = Field(default=0.25, ge=0)
    """Seconds between SIGTERM (health: NOT_SERVING) and the closing of the listeners: what is on its way arrives, and
    Envoys that check health turn away."""
    drain_timeout: Seconds = 10.0
    """Seconds that requests under way have after the listeners closed."""
    reflection: bool = False
    """Serve gRPC server reflection (extra `reflection`)."""


class ResponseSettings(Section):
    """What ztag adds to its answers."""

    identity_headers: bool = True
    """Tell the upstream who asks: `x-ztag-subject`, `x-ztag-issuer`, `x-ztag-kind`, `x-ztag-decision-id`."""
    headers: Mapping[str, str] = {}
    """Further headers that tell the upstream who asks, by templates: `{x-user: "{subject}", x-org: "{claims.org}"}`.
    In braces `subject`, `issuer`, `kind`, `scopes`, `roles`, `groups`, `expires_at` or `claims.NAME`; a header that
    lacks a part is not sent. A client's copies are removed, and the policy's are not sent."""
    owned_headers: tuple[str, ...] = ()
    """Further request headers that only the policy may set (`x-user`, `x-role` …): a client's copies are removed.
    Those that begin with `x-ztag-` always are."""
    remove_headers: tuple[str, ...] = ()
    """Request headers that the upstream does not get."""
    remove_credentials: bool = False
    """Keep the credential from the upstream: every header and cookie that a kind in `authentication` reads it from."""
    assertion: AssertionSettings | None = None
    """Tell the upstream who asks in a form that it can verify."""
    error_response: bool = False
    """Answer errors with `error_response` (Envoy 1.37 and later) instead of a gRPC status."""
    max_body_bytes: int = Field(default=4096, ge=0)
    """Bytes of a denial's body at most."""

    @property
    def all_owned_headers(self) -> tuple[str, ...]:
        """`owned_headers` and those of the templates."""
        return (*self.owned_headers, *self.headers)

    @field_validator("headers")
    @classmethod
    def _templates(cls, templates: Mapping[str, str]) -> Mapping[str, str]:
        wrong = [
            why if why.startswith(repr(name)) else f"{name!r:.40} {why}"
            for name, template in templates.items()
            if (why := why_not(name, template))
        ]
        if wrong:
            remedy = wrong[0].partition("\n")[2]
            raise ValueError("; ".join(why.partition("\n")[0] for why in wrong) + f"\n{remedy}")
        return templates

    @field_validator("owned_headers")
    @classmethod
    def _names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not is_name(name) or name.lower() == "host":
                raise ValueError(f"{name!r:.40} is no header that could be removed\nlist names like x-user")
        return names


class Origins(dict[str, str]):  # noqa: PLW1641 - no dict has a hash
    """Where each setting stands; the same settings written elsewhere are the same settings."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Origins)

    def find(self, setting: str) -> str:
        """Return the place of a setting, or of the nearest section around it; "" where nothing is known."""
        while setting not in self and setting:
            setting = re.sub(r"(^|\.)[^.\[]*$|\[\d+\]$", "", setting)
        return self.get(setting, "")


class Settings(Section):
    """Everything."""

    listen: ListenSettings = ListenSettings()
    server: ServerSettings = ServerSettings()
    admission: AdmissionSettings = AdmissionSettings()
    authentication: tuple[AuthenticatorSettings, ...] = Field(min_length=1)
    """The first kind whose credential is present answers."""
    revocation: RevocationSettings | None = None
    """Who is refused though the credential is still valid."""
    authorization: tuple[AuthorizerSettings, ...] = Field(min_length=1)
    """Every one has to allow, in this order."""
    protected_resources: tuple[ProtectedResourceSettings, ...] = ()
    """What OAuth clients can find out about: each document is served through Envoy, and challenges name it."""
    response: ResponseSettings = ResponseSettings()
    reporting: tuple[ReporterSettings, ...] = ()
    """Who is told of decisions; metrics always are."""
    _origins: Origins = PrivateAttr(default_factory=Origins)

    def place(self, setting: str) -> str:
        """Return a setting with the place that it stands at, or would: `ztag.yaml:7: authentication[0].issuer`."""
        origin = self._origins.find(setting)
        return f"{origin}: {setting}" if origin else setting

    def read_from(self, origins: Mapping[str, str]) -> None:
        """Remember where each setting stands; "" is the whole document."""
        self._origins = Origins(origins)
