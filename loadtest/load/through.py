"""Every way of deciding through one Envoy thread: as fast as answers come, then at constant rates."""

from collections.abc import Mapping, Sequence
from statistics import median

from loadtest.load import edges
from loadtest.load.paced import KEPT_UP
from loadtest.load.part import Part
from loadtest.report.figures import ALONE, CONSTANT, OWN_FILTERS, PLUGIN, ZTAG, Through, behind_envoy

RATES = (500.0, 1000.0, 2000.0, 4000.0, 8000.0)
"""Requests a second of the open-loop runs; who did not keep up is not asked at a higher one."""
Runs = Mapping[str, list[edges.Figures]]


def through(part: Part) -> Sequence[Through]:
    asked = edges.asks(edges.tokens_of(part.load))
    deciders = part.only(PLUGIN, ZTAG, CONSTANT)
    envoys = [
        edges.start(part.stack, ALONE, part.load, "nobody"),
        edges.start(part.stack, OWN_FILTERS, part.load, "envoy"),
        *(edges.start(part.stack, behind_envoy(one.name), part.load, one.address, one.pid) for one in deciders),
    ]
    rows: list[Through] = []
    for rate in (0.0, *RATES):
        runs: Runs = {envoy.name: [] for envoy in envoys}
        for number in part.shown(range(part.rounds + 1), f"through Envoy at {rate or 'any':}"):
            for envoy in envoys:
                figures = envoy.ask(asked, rate, part.seconds if number else part.seconds / 4)
                if number:  # the first one warms up
                    runs[envoy.name].append(figures)
        found = [_row(rate, envoy.name, runs) for envoy in envoys]
        rows += found
        envoys = [
            one for one, row in zip(envoys, found, strict=True) if one.name == ALONE or row.rate >= KEPT_UP * rate
        ]
    return rows


def _row(due: float, way: str, runs: Runs) -> Through:
    mine = runs[way]
    middle, rates = edges.medians(mine), [run.rate for run in mine]
    return Through(
        due,
        way,
        middle.rate,
        min(rates),
        max(rates),
        median(run.rate / its.rate for run, its in zip(mine, runs[ALONE], strict=True)),
        middle.p50,
        middle.p99,
        middle.envoy_cpu,
        middle.server_cpu,
        middle.failed,
        middle.generator_cpu,
        _ratio("rate", mine, runs.get(behind_envoy(CONSTANT))),
        _ratio("p99", mine, runs.get(behind_envoy(PLUGIN))),
    )


def _ratio(figure: str, runs: Sequence[edges.Figures], others: Sequence[edges.Figures] | None) -> float | None:
    if others is None:
        return None
    return float(median(getattr(run, figure) / getattr(its, figure) for run, its in zip(runs, others, strict=True)))
