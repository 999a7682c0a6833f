"""What each stage of a Check costs whose token and path nobody has seen before, in a process of its own, in µs of CPU.

Each way of a message (`stages.ways`) is given a thousand new ones a round, so nothing is ever found: what memories cost
that are filled in vain is the difference between the two columns.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from statistics import median

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from loadtest.load.traces import Traces
from loadtest.stages import PAUSE, cpu, steps, ways
from loadtest.workload import Workload
from ztag_extauthz.component import Resources
from ztag_extauthz.meter import Meter
from ztag_extauthz.server import worker
from ztag_extauthz.settings import Settings
from ztag_extauthz.wiring import Gateway, build

MESSAGES = 1000
ROUNDS = 7


class ColdStage(Struct, frozen=True):
    """What a stage adds to those before it, in µs."""

    name: str
    remembered: float
    """Where the policy's answers are remembered."""
    off: float
    """Where they are not."""


def cold_costs(load: Workload) -> list[ColdStage]:
    """Return what each stage costs."""
    return asyncio.run(_measured(load))


async def _measured(load: Workload) -> list[ColdStage]:
    gateways = [_built(load, load.settings), _built(load, load.uncached)]
    for gateway in gateways:
        await gateway.start()
    worker._settle()
    try:
        remembered, off = await _added(gateways, Traces(load.issuer, MESSAGES))
    finally:
        for gateway in gateways:
            await gateway.close()
    return [ColdStage(name.replace("remembered", "new"), cost, off[name]) for name, cost in remembered.items()]


def _built(load: Workload, settings: Settings) -> Gateway:
    return build(settings, Resources(load.folder, time.time, Meter()))


async def _added(gateways: Sequence[Gateway], traces: Traces) -> list[Mapping[str, float]]:
    """Return for each gateway what each stage adds: the medians of turns of ever longer ways."""
    costs: list[dict[str, list[float]]] = [{name: [] for name in ways(gateway)} for gateway in gateways]
    for number in range(ROUNDS + 1):
        for name in costs[0]:
            messages = traces.missing()
            for gateway, mine in zip(gateways, costs, strict=True):
                await asyncio.sleep(PAUSE)
                cost = cpu(map(ways(gateway)[name], messages)) / len(messages)
                if number:  # the first one fills the processor's caches
                    mine[name].append(cost)
    return [steps({name: median(each) for name, each in mine.items()}) for mine in costs]


def show_cold(console: Console, stages: Sequence[ColdStage]) -> None:
    title = "One cold request without an engine: token and path are new; µs of CPU"
    table = Table("stage", "answers remembered", "not remembered", "", title=title)
    remembered, off = (sum(getattr(stage, name) for stage in stages) for name in ("remembered", "off"))
    for stage in stages:
        table.add_row(stage.name, f"{stage.remembered:.1f}", f"{stage.off:.1f}", "█" * round(80 * stage.off / off))
    table.add_section()
    table.add_row("the whole, bytes to bytes", f"{remembered:.1f}", f"{off:.1f}", "")
    console.print(table)
