"""The levels that one policy's answers go through, built from the settings."""

from functools import partial

from ztag_extauthz import __version__
from ztag_extauthz.authorization.cache.answers import Common, Remembered
from ztag_extauthz.authorization.cache.encoding import pack
from ztag_extauthz.authorization.cache.heard import heard_by
from ztag_extauthz.authorization.cache.interface import Answers, NoAnswers
from ztag_extauthz.authorization.cache.life import WhyNot, shortest, why_not
from ztag_extauthz.authorization.cache.nearby import Nearby
from ztag_extauthz.authorization.cache.replicas import Replicas
from ztag_extauthz.authorization.cache.settings import CacheSettings
from ztag_extauthz.authorization.engines.interface import PolicyEngine
from ztag_extauthz.component import Component, Resources
from ztag_extauthz.stores.slots import Slots

UNVERSIONED = WhyNot("unversioned", "nobody can say when its policies or data change")


class Levels(Component):
    """What all revisions of one policy have in common."""

    kind = "cache"

    def __init__(self, settings: CacheSettings, resources: Resources) -> None:
        """Raise `OSError` where there is no room in shared memory."""
        self._settings = settings
        meter = resources.meter
        slots = Slots(resources.memory, "answers", settings.entries, settings.entry_bytes)
        meter.set(meter.series("ztag_cache_shared_bytes"), slots.bytes)
        meter.set(meter.series("ztag_cache_shared_entries"), slots.entries)
        heard = heard_by(settings.redis, resources)
        far = None if settings.redis is None else Replicas(settings.redis, heard.hears, resources)
        self._common = Common(slots, far, heard, settings.tenant_claim, resources.clock, meter)

    def of(self, policy: PolicyEngine, decision: str) -> Answers:
        """Return where the answers of one revision are remembered; raises `PolicyError` for a ttl that is none."""
        meter, version = self._common.meter, policy.version
        life = shortest(policy.annotations(), self._settings.ttl)
        why = why_not(policy.reads(), life) or (None if version.digest else UNVERSIONED)
        if why is not None:
            return NoAnswers(partial(meter.add, meter.series("ztag_cache_uncached", why.label)))
        made_of = pack((__version__, type(policy).__name__, decision, version.revision, version.digest))
        nearby = Nearby(self._settings.worker_bytes, meter)
        return Remembered(made_of, life, nearby, self._common, waits=policy.immediate() is None)

    async def start(self) -> None:
        await self._common.forgotten.start()
        if self._common.far is not None:
            await self._common.far.start()

    async def close(self) -> None:
        if self._common.far is not None:
            await self._common.far.close()
        await self._common.forgotten.close()
