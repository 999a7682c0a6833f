"""Every server over gRPC, as fast as it answers, each trace in turn."""

from collections.abc import Sequence
from statistics import median

from loadtest.load.part import Part
from loadtest.report.figures import WARM, Direct
from loadtest.servers import Target


def direct(part: Part) -> Sequence[Direct]:
    """Ask every server; one round more warms up."""
    rows: list[Direct] = []
    for name, make in {WARM: lambda: part.load.messages, **part.traces.all()}.items():
        for target in part.servers:
            target.renew(part.load.messages)
        for number in part.shown(range(part.rounds + 1), f"direct: {name}"):
            messages = make()
            for target in part.servers:
                target.exchange(messages)
                target.ask(part.requests) if number else target.warm(part.requests)
        rows += [_row(name, target, part.servers[0]) for target in part.servers]
        for target in part.servers:
            target.forget()
    return rows


def _row(trace: str, target: Target, base: Target) -> Direct:
    rates = [result.rate for result in target.results]
    pairs = list(zip(target.results, base.results, strict=True))
    cpus = [(mine.whole, its.whole) for mine, its in zip(target.cpu, base.cpu, strict=True)]
    return Direct(
        trace,
        target.name,
        median(rates),
        min(rates),
        max(rates),
        median(mine.rate / its.rate for mine, its in pairs),
        median(mine for mine, _ in cpus),
        median(mine / its for mine, its in cpus),
        median(mine.percentile(50) for mine, _ in pairs),
        median(mine.percentile(99) for mine, _ in pairs),
        median(mine.percentile(99) / its.percentile(99) for mine, its in pairs),
        sum(mine.failed for mine, _ in pairs),
    )
