"""What one call of the risk scorer takes: request in, score and its reasons out."""

import asyncio
import time
import tracemalloc
from collections.abc import Callable, Sequence
from statistics import quantiles

from loadtest.load.part import Part
from loadtest.report.figures import Risk
from loadtest.stages import FOREVER, run
from ztag_extauthz.authorization.risk.authorizer import Risk as Scorer
from ztag_extauthz.component import Resources
from ztag_extauthz.envoy import decode
from ztag_extauthz.meter import Meter
from ztag_extauthz.model import Context, Identity
from ztag_extauthz.server import worker
from ztag_extauthz.wiring import build

CALLS = 50_000


def risks(part: Part) -> Sequence[Risk]:
    return asyncio.run(_risks(part))


async def _risks(part: Part) -> Sequence[Risk]:
    gateway = build(part.load.guarded, Resources(part.load.folder, time.time, Meter()))
    await gateway.start()
    worker._settle()
    (scorer,) = (one for one in gateway.pipeline.authorizers if isinstance(one, Scorer))
    contexts = [
        Context(decode(message), Identity(f"user-{number // 10}", "https://issuer.example", "jwt", {}))
        for number, message in enumerate(part.load.messages)
    ]
    score: Callable[[Context], object] = lambda one: scorer.scorer.assess(one.request, one.identity, time.time())  # noqa: E731
    stage: Callable[[Context], object] = lambda one: run(scorer.authorize(one, FOREVER))  # noqa: E731
    try:
        return [
            _row("score, with its reasons", score, contexts),
            _row("the whole stage, with metrics", stage, contexts),
        ]
    finally:
        await gateway.close()


def _row(name: str, call: Callable[[Context], object], contexts: Sequence[Context]) -> Risk:
    taken = []
    for number in range(CALLS):
        context = contexts[number % len(contexts)]
        began = time.perf_counter_ns()
        call(context)
        taken.append((time.perf_counter_ns() - began) * 1e-9)
    cuts = quantiles(taken, n=100)
    return Risk(name, cuts[49], cuts[98], _peak(call, contexts))


def _peak(call: Callable[[Context], object], contexts: Sequence[Context]) -> int:
    """Return the bytes that one call has at once, at most."""
    most = 0
    tracemalloc.start()
    for context in contexts:
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        call(context)
        most = max(most, tracemalloc.get_traced_memory()[1] - before)
    tracemalloc.stop()
    return most
