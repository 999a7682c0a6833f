"""Settings in, running objects out: the only place that knows the concrete classes."""

from contextlib import AsyncExitStack

from ztag_extauthz.authentication.interface import join
from ztag_extauthz.component import Component, Readiness, Resources
from ztag_extauthz.envoy import Encoder
from ztag_extauthz.pipeline import Pipeline
from ztag_extauthz.reporting.metrics import Metrics
from ztag_extauthz.server.core import Core
from ztag_extauthz.settings import Settings


class Gateway:
    """All that answers requests under one version of the settings. A reload makes a new one."""

    def __init__(self, core: Core, pipeline: Pipeline, components: tuple[Component, ...]) -> None:
        self.core = core
        self.pipeline = pipeline
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

    def readiness(self) -> tuple[Readiness, ...]:
        """Return one entry for each thing that has to be there before requests can be answered."""
        return tuple(entry for component in self._components for entry in component.readiness())


def build(settings: Settings, resources: Resources) -> Gateway:
    """Build what the settings ask for; raises `SettingsError` or `PolicyError`, and then nothing has been started."""
    gates = settings.admission.build(resources)
    authenticators = join(kind.build(resources) for kind in settings.authentication)
    authorizers = [kind.build(resources) for kind in settings.authorization]
    reporters = [Metrics(resources.meter), *(kind.build(resources) for kind in settings.reporting)]
    register = None if settings.revocation is None else settings.revocation.build(resources)
    revoked = {} if register is None else {"revoked": register.refuse}
    pipeline = Pipeline(gates, authenticators, authorizers, reporters, resources.clock, **revoked)
    assertion = settings.response.assertion
    signer = None if assertion is None else assertion.build(resources.folder, resources.clock)
    core = Core(pipeline, Encoder(settings.response, signer), settings.server, resources.meter)
    return Gateway(
        core, pipeline, (*gates, *authenticators, *(() if register is None else (register,)), *authorizers, *reporters)
    )
