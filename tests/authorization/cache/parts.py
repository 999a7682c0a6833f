"""A policy with a cache, and a clock that stands still."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.authentication.parts import Clock
from tests.envoy.checks import ALICE, check, request
from ztag_extauthz.authorization.cache.answers import Common
from ztag_extauthz.authorization.cache.interface import FarAnswers, Forgotten
from ztag_extauthz.authorization.cache.levels import Levels
from ztag_extauthz.authorization.cache.settings import CacheSettings
from ztag_extauthz.authorization.engines.embedded import Embedded
from ztag_extauthz.authorization.engines.interface import Version
from ztag_extauthz.authorization.rego import Rego, RegoSettings
from ztag_extauthz.component import Memory, Resources, private_memory
from ztag_extauthz.meter import METRICS, SERIES, Meter
from ztag_extauthz.model import EMPTY, Context, Identity
from ztag_extauthz.rego.values import Value
from ztag_extauthz.stores.slots import Slots

FAR = 1e18


class NothingForgotten(Forgotten):
    """Where nobody can say so."""

    def since(self, tags: tuple[str, ...]) -> float:  # noqa: ARG002
        return 0.0


class Said(Forgotten):
    """What was said to be forgotten, by tag."""

    def __init__(self) -> None:
        self.tags: dict[str, float] = {}

    @property
    def latest(self) -> float:  # type: ignore[override]
        return max(self.tags.values(), default=0.0)

    def since(self, tags: tuple[str, ...]) -> float:
        return max((self.tags.get(tag, 0.0) for tag in tags), default=0.0)


class Counting(Embedded):
    """Counts how often it is asked."""

    asked = 0

    def evaluate(self, document: Value, deadline: float) -> Value:
        self.asked += 1
        return super().evaluate(document, deadline)


def policy(text: str, version: bytes = b"1", data: Mapping[str, Any] = EMPTY) -> Counting:
    modules = {"p.rego": f"package p\n{text}"}
    return Counting(modules, dict(data), "p/result", version=Version(version.hex(), version))


class Cached:
    """One worker's policy with its cache, on a node's memory."""

    def __init__(
        self,
        engine: Embedded,
        memory: Memory = private_memory,
        *,
        far: FarAnswers | None = None,
        forgotten: Forgotten | None = None,
        clock: Clock | None = None,
        **settings: Any,
    ) -> None:
        self.clock = clock or Clock()
        self.meter = Meter()
        self.settings = CacheSettings(**{"entries": 64, **settings})
        levels = Levels(self.settings, Resources(Path(), self.clock, self.meter, memory))
        slots = Slots(memory, "answers", self.settings.entries, self.settings.entry_bytes)
        told = forgotten or NothingForgotten()
        levels._common = Common(slots, far, told, self.settings.tenant_claim, self.clock, self.meter)
        options = RegoSettings(kind="rego", policies=("p.rego",), decision="p/result")
        self.rego = Rego(options, engine, None, 0.0, levels)

    async def ask(self, path: str = "/", identity: Identity = ALICE, deadline: float = FAR, **changes: Any) -> Any:
        return await self.rego.authorize(Context(request(check(path, **changes)), identity), deadline)

    def count(self, name: str, *labels: str) -> float:
        return self.meter._cells[SERIES[name, labels]]  # type: ignore[index]

    def hits(self) -> dict[str, float]:
        results = METRICS["ztag_cache_lookups"].labels["result"]
        return {result: n for result in results if (n := self.count("ztag_cache_lookups", result))}
