"""Settings in, running objects out: the only place that knows the concrete classes."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Any, Protocol, TypeVar

from msgspec.structs import replace

from ztag_extauthz.admission.interface import Gate
from ztag_extauthz.admission.resource_metadata import ResourceMetadata
from ztag_extauthz.assertion.signer import Signer
from ztag_extauthz.authentication.interface import Authenticator, join
from ztag_extauthz.authentication.one_place import guarded
from ztag_extauthz.component import Component, Readiness, Resources
from ztag_extauthz.envoy import Encoder
from ztag_extauthz.envoy.credentials import Credentials
from ztag_extauthz.errors import Mistake, MistakesError, SettingsError
from ztag_extauthz.pipeline import Pipeline
from ztag_extauthz.protected_resource import ProtectedResources
from ztag_extauthz.reporting.log import Log
from ztag_extauthz.reporting.metrics import Metrics
from ztag_extauthz.revocation.register import Register
from ztag_extauthz.server.core import Core
from ztag_extauthz.server.recurring import Recurring
from ztag_extauthz.settings import Settings

LOG = logging.getLogger("ztag.server")
T_co = TypeVar("T_co", covariant=True)


class _Kind(Protocol[T_co]):
    """One entry of a section: it builds the part that it describes."""

    def build(self, resources: Resources) -> T_co: ...


class Gateway:
    """All that answers requests under one version of the settings. A reload makes a new one."""

    def __init__(
        self, core: Core, pipeline: Pipeline, components: tuple[Component, ...], credentials: Credentials
    ) -> None:
        self.core = core
        self.pipeline = pipeline
        self.credentials = credentials
        self._components = components
        self._running = AsyncExitStack()

    async def start(self) -> None:
        """Start every component; what does not start ends those before it."""
        async with AsyncExitStack() as started:
            for component in self._components:
                started.push_async_callback(component.close)
                await component.start()
            self._running = started.pop_all()

    async def close(self) -> None:
        """Close every component, the last one first."""
        await self._running.aclose()

    def release(self) -> list[Any]:
        """Let go of what is large, after `close`, and return what is to be freed. Nothing is answered any more."""
        return [owned for component in self._components for owned in component.release()]

    def readiness(self) -> tuple[Readiness, ...]:
        """Return one entry for each thing that has to be there before requests can be answered."""
        return tuple(entry for component in self._components for entry in component.readiness())


def build(settings: Settings, resources: Resources) -> Gateway:
    """Build what the settings ask for.

    Raises `SettingsError` with the mistakes of all kinds, and then nothing has been started.
    """
    mistakes: list[Mistake] = []
    gates = _admission(settings, resources, mistakes)
    credentials = list(_each("authentication", settings.authentication, resources, mistakes))
    authorizers = list(_each("authorization", settings.authorization, resources, mistakes))
    told = list(_each("reporting", settings.reporting, resources, mistakes))
    register = _register(settings, resources, mistakes)
    signer = _signer(settings, resources, mistakes)
    protected = _protected(settings, mistakes)
    if mistakes:
        raise SettingsError(tuple(replace(mistake, setting=settings.place(mistake.setting)) for mistake in mistakes))
    authenticators = guarded(join(credentials))
    places = _credentials(authenticators)
    for reporter in told:
        reporter.attend(authorizers, places.headers)
    reporters = [Metrics(resources.meter), Log(settings.response.all_owned_headers), *told]
    revoked = {} if register is None else {"revoked": register.refuse}
    if len(protected):
        gates.append(ResourceMetadata(protected))
    pipeline = Pipeline(gates, authenticators, authorizers, reporters, resources.clock, **revoked)
    encoder = Encoder(settings.response, signer, protected, places)
    recurring = _recurring(pipeline, encoder, settings, resources)
    core = Core(pipeline, encoder, settings.server, resources.meter, recurring)
    registers = () if register is None else (register,)
    components = (*gates, *authenticators, *registers, *authorizers, *reporters)
    return Gateway(core, pipeline, components, places)


def _recurring(pipeline: Pipeline, encoder: Encoder, settings: Settings, resources: Resources) -> Recurring | None:
    entries = settings.server.max_recurring
    try:
        return Recurring(pipeline, encoder, entries, resources.clock, resources.meter) if entries else None
    except OSError as error:
        LOG.warning("every request is read anew: %s", error)
        return None


def _register(settings: Settings, resources: Resources, mistakes: list[Mistake]) -> Register | None:
    if settings.revocation is None:
        return None
    try:
        # The supervisor's, which would notice too late.
        settings.revocation.receiver(resources)
        settings.revocation.secrets(resources.folder)
        return settings.revocation.build(resources)
    except MistakesError as error:
        mistakes += error.of("revocation")
        return None


def _signer(settings: Settings, resources: Resources, mistakes: list[Mistake]) -> Signer | None:
    assertion = settings.response.assertion
    try:
        return None if assertion is None else assertion.build(resources.folder, resources.clock)
    except MistakesError as error:
        mistakes += error.of("response.assertion")
        return None


def _credentials(authenticators: Sequence[Authenticator]) -> Credentials:
    """Return where credentials stand in requests."""
    bearers = [bearer for one in authenticators for bearer in one.bearers()]
    headers = {
        header for bearer in bearers for header in (bearer.header, *(["dpop"] if bearer.scheme == "DPoP" else []))
    }
    return Credentials(frozenset(headers), frozenset(bearer.cookie for bearer in bearers if bearer.cookie))


def _protected(settings: Settings, mistakes: list[Mistake]) -> ProtectedResources:
    """Return the protected resources; what every document says is taken from the kinds of credentials."""
    kinds = [kind for kind in settings.authentication if kind.kind in {"jwt", "introspection"}]
    proofs = dict.fromkeys(name for kind in kinds if kind.dpop is not None for name in kind.dpop.algorithms)
    members = {
        "authorization_servers": [kind.issuer for kind in kinds],
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": list(proofs),
    }
    protected = ProtectedResources(
        settings.protected_resources, {name: value for name, value in members.items() if value}
    )
    limit = settings.response.max_body_bytes
    if protected.largest > limit:
        what = f"a document has {protected.largest} bytes, and response.max_body_bytes is {limit}"
        mistakes.append(Mistake("", what, "raise response.max_body_bytes", "protected_resources"))
    return protected


def _admission(settings: Settings, resources: Resources, mistakes: list[Mistake]) -> list[Gate]:
    try:
        return settings.admission.build(resources)
    except MistakesError as error:
        mistakes += error.of("admission")
        return []


def _each(section: str, kinds: Sequence[_Kind[T_co]], resources: Resources, mistakes: list[Mistake]) -> Iterator[T_co]:
    """Build each kind; what cannot be built is added to the mistakes, so that all are told at once."""
    for index, kind in enumerate(kinds):
        try:
            yield kind.build(resources)
        except MistakesError as error:
            mistakes += error.of(f"{section}[{index}]")
