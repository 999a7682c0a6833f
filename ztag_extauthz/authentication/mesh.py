"""The workload that Envoy verified: its SPIFFE id, told by the asking Envoy or by a proxy that it trusts."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from ztag_extauthz.again import ALWAYS, Again
from ztag_extauthz.authentication import spiffe
from ztag_extauthz.authentication.interface import Authenticator
from ztag_extauthz.authentication.peer import Client, Forwarding, ForwardingSettings
from ztag_extauthz.authentication.workload_api import ADDRESS, WorkloadBundles
from ztag_extauthz.component import Readiness, Resources
from ztag_extauthz.errors import Mistake, SettingsError
from ztag_extauthz.model import Deny, Identity, Reason, Request
from ztag_extauthz.section import Seconds, Section

if TYPE_CHECKING:
    from ztag_extauthz.authentication.svid import Bundles, Svid

REMEMBERED = 4096


class BundleSettings(Section):
    """The X.509 authorities of one trust domain."""

    file_fields: ClassVar[tuple[str, ...]] = ("file",)

    trust_domain: str
    """Its name."""
    file: str
    """PEM, or a SPIFFE bundle (JSON)."""


class MeshSettings(Section):
    """Accept the SPIFFE id of the client's certificate, which Envoy verified by mTLS (`source.principal`)."""

    kind: Literal["mesh"]
    trust_domains: tuple[str, ...] = Field(min_length=1)
    """Trust domains whose workloads are accepted: one's own, and those that it is federated with."""
    forwarding: ForwardingSettings = ForwardingSettings()
    """Proxies in front of the asking Envoy that tell who their client was."""
    bundles: tuple[BundleSettings, ...] = ()
    """Verify the client's certificate here, too, each against the bundle of its own trust domain. Needs
    `include_peer_certificate` in Envoy; a client without a certificate is then refused."""

    workload_api: str | None = Field(default=None, pattern=ADDRESS)
    """UNIX socket of a SPIFFE Workload API, `unix:///run/spire/agent.sock`, that tells the bundles instead (extra
    `grpcio`)."""
    max_stale: Seconds = 86400.0
    """Seconds that its last bundles serve while it does not answer."""

    @field_validator("trust_domains")
    @classmethod
    def _are_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if "/" in name:
                raise ValueError("has an id\nwrite the name alone, mesh.example")
            spiffe.trust_domain(name)
        return names

    @model_validator(mode="after")
    def _bundle_for_each(self) -> "MeshSettings":
        if self.bundles and self.workload_api:
            raise ValueError("has bundles and workload_api\nkeep one of the two")
        named = [bundle.trust_domain for bundle in self.bundles]
        if named and sorted(named) != sorted(set(self.trust_domains)):
            raise ValueError("bundles are not one for each of trust_domains\nadd those that are missing, or drop all")
        return self

    def build(self, resources: Resources) -> "Mesh":
        """Build what the settings describe. Raises `SettingsError` where a bundle cannot be used."""
        if self.workload_api:
            live = WorkloadBundles(self.trust_domains, self.workload_api, self.max_stale, resources.clock)
            return Mesh(self, live, resources)
        return Mesh(self, self._bundles(resources) if self.bundles else None, resources)

    def _bundles(self, resources: Resources) -> "Bundles":
        from ztag_extauthz.authentication.svid import Bundles, authorities_in  # noqa: PLC0415 - loads OpenSSL

        authorities = {}
        for bundle in self.bundles:
            path = resources.folder / bundle.file
            try:
                authorities[bundle.trust_domain] = authorities_in(path)
                Bundles(authorities)
            except (OSError, ValueError) as error:
                why = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else f"is no bundle: {error}"
                mistake = Mistake(str(path), why, "write the trust domain's authorities there, as PEM or SPIFFE bundle")
                raise SettingsError((mistake,)) from error
        return Bundles(authorities)


class Mesh(Authenticator):
    """Knows which trust domains count, and through which proxies."""

    kind = "mesh"

    def __init__(
        self, settings: MeshSettings, bundles: "Bundles | WorkloadBundles | None", resources: Resources
    ) -> None:
        self._trust_domains = frozenset(settings.trust_domains)
        self._forwarding: Forwarding = settings.forwarding.forwarding()
        self._bundles = bundles
        self._clock = resources.clock
        self._read = lru_cache(REMEMBERED)(_read)
        self._verified = lru_cache(REMEMBERED)(self._verify)

    async def start(self) -> None:
        if isinstance(self._bundles, WorkloadBundles):
            await self._bundles.start()

    async def close(self) -> None:
        if isinstance(self._bundles, WorkloadBundles):
            await self._bundles.close()

    def readiness(self) -> tuple[Readiness, ...]:
        return (self._bundles.readiness(),) if isinstance(self._bundles, WorkloadBundles) else ()

    async def authenticate(self, request: Request, deadline: float) -> Identity | Deny | None:  # noqa: ARG002
        """See `Authenticator.authenticate`."""
        try:
            client = self._forwarding.client_of(request)
            if client is None or (client.principal and not client.principal.lower().startswith("spiffe:")):
                return None
            return self._identity(client)
        except ValueError as error:
            return Deny(Reason.INVALID_CREDENTIALS, str(error))

    def again(self, request: Request, said: Identity | None) -> Again:
        client = self._forwarding.client_of(request)
        if client is None or said is None:
            return ALWAYS
        svid = self._read(client.certificates[0]) if client.certificates else None

        def holds(now: float) -> bool:
            self._check(svid, client, now)
            return True

        return ALWAYS if svid is None and self._bundles is None else Again(holds)

    def _identity(self, client: Client) -> Identity | Deny:
        svid = self._read(client.certificates[0]) if client.certificates else None
        named = spiffe.parse(client.principal) if client.principal else None
        found = named or (None if svid is None else svid.id)
        if found is None or (svid is not None and svid.id != found):
            return Deny(Reason.INVALID_CREDENTIALS, "the client's certificate is of another workload than is stated")
        if found.trust_domain not in self._trust_domains:
            return Deny(Reason.INVALID_CREDENTIALS, "the client is of a trust domain that is not accepted here")
        if not found.path:
            return Deny(Reason.INVALID_CREDENTIALS, "the client is a trust domain, not a workload")
        self._check(svid, client, self._clock())
        claims: dict[str, Any] = {"trust_domain": found.trust_domain, "path": found.path, "via": list(client.via)}
        if client.fingerprint:
            claims["fingerprint"] = client.fingerprint.hex()
        issuer = f"{spiffe.SCHEME}{found.trust_domain}"
        return Identity(str(found), issuer, self.kind, claims, svid.expires_at if svid else None)

    def _check(self, svid: "Svid | None", client: Client, now: float) -> None:
        """Raise `ValueError` where the certificate is out of date, or not one that its trust domain vouches for."""
        if svid is not None and not svid.begins_at <= now < svid.expires_at:
            raise ValueError("the client's certificate has expired or is not valid yet")
        if self._bundles is None:
            return
        if svid is None:
            raise ValueError("the client's certificate was not told, and has to be verified here")
        self._verified(client.certificates, self._bundles.revision, int(now) // 60)

    def _verify(self, certificates: tuple[bytes, ...], revision: int, minute: int) -> None:  # noqa: ARG002 - memory's keys
        """Verify a chain; once a minute, for authorities expire, too."""
        if self._bundles is not None:
            self._bundles.check(self._read(certificates[0]), certificates, self._clock())


def _read(certificate: bytes) -> "Svid":
    from ztag_extauthz.authentication.svid import read  # noqa: PLC0415 - loads OpenSSL

    return read(certificate)
