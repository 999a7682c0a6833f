"""What each stage of a Check costs in a process of its own, without an engine, in µs of CPU.

Alone: one stage in a loop, which is how it looks where processor and caches have nothing else to do. On its way: what
it adds to the stages before it, over a thousand different requests. The second is what a server pays.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from loadtest.workload import Workload
from ztag_extauthz.authentication.jwt import Jwt
from ztag_extauthz.authentication.token_memory import TokenMemory
from ztag_extauthz.authorization.rego import Rego, RegoSettings
from ztag_extauthz.component import Resources
from ztag_extauthz.envoy import decode
from ztag_extauthz.meter import Meter
from ztag_extauthz.model import Allow, Context, Identity
from ztag_extauthz.server import worker
from ztag_extauthz.settings import Settings
from ztag_extauthz.wiring import Gateway, build

FOREVER = time.monotonic() + 1e6
ROUNDS = 15
PAUSE = 0.02
"""Seconds for the writer of the audit log, and for those who hear of what is to be forgotten: without hearing, the
policy's answers do not count."""


class Stage(Struct, frozen=True):
    """A stage's cost in µs."""

    name: str
    alone: float | None
    added: float | None
    """None for what is not on the way of every request."""


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that never waits, without an event loop's share."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise RuntimeError("the stage waited")


def stage_costs(load: Workload) -> list[Stage]:
    """Return what each stage of the whole way costs."""
    return [*asyncio.run(_measured(load, load.read, _stages)), *asyncio.run(_farther(load))]


def known_costs(load: Workload) -> list[Stage]:
    """Return what each step costs for requests that are known again."""
    return asyncio.run(_measured(load, load.settings, _known))


async def _measured(
    load: Workload, settings: Settings, stages: Callable[[Gateway, Sequence[bytes]], Awaitable[list[Stage]]]
) -> list[Stage]:
    gateway = build(settings, Resources(load.folder, time.time, Meter()))
    await gateway.start()
    worker._settle()
    try:
        return await stages(gateway, load.messages)
    finally:
        await gateway.close()


async def _known(gateway: Gateway, messages: Sequence[bytes]) -> list[Stage]:
    core = gateway.core
    recurring = core._recurring
    if recurring is None:
        raise TypeError("the settings must have max_recurring")
    for _ in range(3):
        for message in messages:
            run(core.check(message, FOREVER))
        await asyncio.sleep(PAUSE)

    def answered(message: bytes, *, silently: bool) -> object:
        _, known = recurring.find(message)
        if known is None:
            raise TypeError("the workload's requests must be known by now")
        return recurring.answer(replace(known, told=()) if silently else known, message, FOREVER)

    added = await _added(
        {
            "fingerprint, and what is known of it": recurring.find,
            "check what was said, and answer": partial(answered, silently=True),
            "reporting": partial(answered, silently=False),
            "the core around them": lambda message: run(core.check(message, FOREVER)),
        },
        messages,
    )
    return [Stage(name, None, cost) for name, cost in added.items()]


async def _stages(gateway: Gateway, messages: Sequence[bytes]) -> list[Stage]:
    pipeline, core = gateway.pipeline, gateway.core
    (gate,), (jwt, *_), (rego, *_) = pipeline._gates, pipeline._authenticators, pipeline.authorizers
    if not isinstance(jwt, Jwt):
        raise TypeError("the workload's first authenticator must be jwt")
    request = decode(messages[0])
    identity: Identity = run(jwt.authenticate(request, FOREVER))
    verdict = run(rego.authorize(Context(request, identity), FOREVER))
    if not isinstance(verdict, Allow):
        raise TypeError(f"the workload's requests must be allowed, not {verdict}")
    decision = run(pipeline.decide(request, FOREVER))

    def forget() -> None:
        jwt.memory = TokenMemory(max_entries=2)
        run(jwt.authenticate(request, FOREVER))

    alone: dict[str, Callable[[], object]] = {
        "decode the CheckRequest": lambda: decode(messages[0]),
        "admission": lambda: run(gate.admit(request, FOREVER)),
        "authentication, token remembered": lambda: run(jwt.authenticate(request, FOREVER)),
        "authorization": lambda: run(rego.authorize(Context(request, identity), FOREVER)),
        "encode the CheckResponse": lambda: core.settle(request, decision, FOREVER),
        "reporting": lambda: pipeline.report(request, decision),
    }
    added = await _added(ways(gateway), messages)
    stages = [Stage(name, await _alone(work), added[name]) for name, work in alone.items()]
    rest = [Stage(name, None, cost) for name, cost in added.items() if name not in alone]
    return [*stages, *rest, Stage("authentication, token verified (RS256)", await _alone(forget, 200), None)]


async def _farther(load: Workload) -> list[Stage]:
    """Return what authorization costs where the worker's own memory does not have the answer."""
    (kind,) = load.settings.authorization
    if not isinstance(kind, RegoSettings) or kind.cache is None:
        raise TypeError("the workload's authorizer must be rego with a cache")
    request = decode(load.messages[0])
    context = Context(request, Identity("user-0", "https://issuer.example", "jwt", {"roles": ["editor"]}))
    rows = {
        "authorization, answer in the node's table": kind.cache.model_copy(update={"worker_bytes": 0}),
        "authorization, no cache": None,
    }
    stages = []
    for name, cache in rows.items():
        rego = kind.model_copy(update={"cache": cache}).build(Resources(load.folder, time.time, Meter()))
        await rego.start()
        await asyncio.sleep(PAUSE)
        stages.append(Stage(name, await _alone(partial(_answered, rego, context)), None))
        await rego.close()
    return stages


def _answered(rego: Rego, context: Context) -> object:
    return run(rego.authorize(context, FOREVER))


async def _alone(work: Callable[[], object], loops: int = 1000) -> float:
    costs = []
    for _ in range(ROUNDS):
        costs.append(cpu(work() for _ in range(loops)) / loops)
        await asyncio.sleep(PAUSE)
    return median(costs)


def ways(gateway: Gateway) -> Mapping[str, Callable[[bytes], object]]:
    """Return ever longer ways of a message, each by what it has beyond the one before."""
    pipeline, core = gateway.pipeline, gateway.core
    (gate,), (jwt, *_), (rego, *_) = pipeline._gates, pipeline._authenticators, pipeline.authorizers

    def admitted(message: bytes) -> Any:
        request = decode(message)
        run(gate.admit(request, FOREVER))
        return request

    def identified(message: bytes) -> Context:
        request = admitted(message)
        return Context(request, run(jwt.authenticate(request, FOREVER)))

    def decided(message: bytes) -> Any:
        request = decode(message)
        return request, run(pipeline.decide(request, FOREVER))

    def settled(message: bytes) -> Any:
        request, decision = decided(message)
        core.settle(request, decision, FOREVER)
        return request, decision

    return {
        "decode the CheckRequest": decode,
        "admission": admitted,
        "authentication, token remembered": identified,
        "authorization": lambda message: run(rego.authorize(identified(message), FOREVER)),
        "the pipeline around them": decided,
        "encode the CheckResponse": settled,
        "reporting": lambda message: pipeline.report(*settled(message)),
        "the core around them": lambda message: run(core.check(message, FOREVER)),
    }


async def _added(longer: Mapping[str, Callable[[bytes], object]], messages: Sequence[bytes]) -> Mapping[str, float]:
    """Return what each stage adds to those before it: the medians of turns of ever longer ways."""
    costs: dict[str, list[float]] = {name: [] for name in longer}
    for _ in range(ROUNDS):
        for name, way in longer.items():
            costs[name].append(cpu(map(way, messages)) / len(messages))
            await asyncio.sleep(PAUSE)
    return steps({name: median(each) for name, each in costs.items()})


def steps(whole: Mapping[str, float]) -> Mapping[str, float]:
    """Return what each of ever longer ways costs beyond the one before."""
    return {name: cost - before for (name, cost), before in zip(whole.items(), [0.0, *whole.values()], strict=False)}


def cpu(work: Iterable[object]) -> float:
    """Return the µs of CPU that this thread spends on some work, keeping nothing of it."""
    began = time.thread_time()
    for _ in work:
        pass
    return (time.thread_time() - began) * 1e6


def show_stages(console: Console, stages: Sequence[Stage], title: str) -> None:
    table = Table("stage", "alone", "on its way", "", title=title)
    whole = sum(stage.added or 0 for stage in stages)
    for stage in stages:
        texts = ("" if cost is None else f"{cost:.1f}" for cost in (stage.alone, stage.added))
        table.add_row(stage.name, *texts, "█" * round(80 * (stage.added or 0) / whole))
    table.add_section()
    table.add_row("the whole, bytes to bytes", "", f"{whole:.1f}", "")
    console.print(table)
