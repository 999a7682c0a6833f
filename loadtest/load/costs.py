"""Where the CPU of one warm request goes: the engine, ztag's stages, the audit log's writer, and the rest."""

from collections.abc import Sequence
from statistics import median

from loadtest.load.part import Part
from loadtest.report.figures import CONSTANT, WHOLE, ZTAG, Cost
from loadtest.stages import known_costs

PIPELINE = "ztag's code"


def costs(part: Part) -> Sequence[Cost]:
    """Ask ztag and a constant answer, and add up the stages in this process."""
    full, constant = sorted(part.only(ZTAG, CONSTANT), key=lambda target: target.name != ZTAG)
    for target in (full, constant):
        target.warm(part.requests)
    for _ in part.shown(range(part.rounds), "cost of the stages"):
        for target in (full, constant):
            target.ask(part.requests)
    stages = [Cost(one.name, PIPELINE, max(0.0, one.added)) for one in known_costs(part.load) if one.added is not None]
    whole, engine, audit = (
        median(cpu.whole for cpu in full.cpu),
        median(cpu.whole - cpu.audit for cpu in constant.cpu),
        median(cpu.audit for cpu in full.cpu),
    )
    inside = sum(stage.cpu for stage in stages)
    for target in (full, constant):
        target.forget()
    return [
        Cost(WHOLE, "", max(whole, engine + audit + inside)),
        Cost("engine: HTTP/2, gRPC, event loop", WHOLE, engine),
        Cost(PIPELINE, WHOLE, inside),
        *stages,
        Cost("writer of the audit log, a thread", WHOLE, audit),
        Cost("colder caches than alone", WHOLE, max(0.0, whole - engine - audit - inside)),
    ]
