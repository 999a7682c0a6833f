"""The tables of docs/capacity.md."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from msgspec.structs import fields

from loadtest.capacity.regions import REGIONS, WAYS, Answered, Floats, Mask, World, loads
from loadtest.capacity.sizing import GIB, MIB, Assumed, Costs, Redis, Size

FULL: Final = 0.9
"""Part of a core that a worker may take in its worst second."""
Runs = Mapping[str, Mapping[str, Answered]]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows))


def costs_table(costs: Costs) -> str:
    usual = {field.name: field.default for field in fields(Costs)}
    rows = (
        ("remembered", "token and answer remembered", f"{costs.remembered:.0f} µs"),
        ("typical", "1,000 users x 50 paths, some more often than others, begun cold", f"{costs.typical:.0f} µs"),
        ("evaluated", "the same, the policy asked each time", f"{costs.evaluated:.0f} µs"),
        ("new", "token and path never seen before", f"{costs.new:.0f} µs"),
        ("hits", "answers that the node remembers", f"{costs.hits:.0%}"),
        ("worker", "what a worker has alone", f"{costs.worker / 1e6:.0f} MB"),
        ("around", "what workers share, and the processes around them", f"{costs.around / 1e6:.0f} MB"),
        ("connection", "an open connection", f"{costs.connection / 1e3:.0f} kB"),
    )
    # A report that lacks a figure leaves the default in its place.
    shown = [(what, f"{told}, assumed" if getattr(costs, name) == usual[name] else told) for name, what, told in rows]
    return _table(("what", "measured"), shown)


def sizes_table(rows: Sequence[Size]) -> str:
    heads = ("load", "highest second", "CPU then", "replicas x workers", "cores asked for", "memory")
    return _table((*heads, "a month: ztag + Redis", "a million"), [_size(row) for row in rows])


def _size(row: Size) -> Sequence[str]:
    load, million = row.load, f"${row.million:.2f}" if row.million >= 0.1 else f"${row.million:.3f}"
    first = (load.name, f"{load.mean * load.peak:,.0f}/s", f"{row.cpu:.2f}", f"{row.replicas} x {load.workers}")
    each = (f"{row.replicas} x {row.cores:g}", f"{row.replicas} x {row.memory / MIB:,.0f} MiB")
    return (*first, *each, f"${row.own:,.0f} + ${row.stored:,.0f}", million)


def redis_table(rows: Mapping[str, Redis]) -> str:
    heads = ("load", "answers", "leases", "polls", "bandwidth", "kept", "primaries, a replica each")
    found = []
    for name, redis in rows.items():
        rates = (f"{rate:,.0f}/s" for rate in (redis.answers, redis.leases, redis.polls))
        kept = f"{redis.kept / GIB:.1f} GiB" if redis.kept > GIB else f"{redis.kept / MIB:.1f} MiB"
        found.append((name, *rates, f"{redis.bandwidth / 1e6:.2f} MB/s", kept, str(redis.shards)))
    return _table(heads, found)


def assumed_table(assumed: Assumed) -> str:
    redis = (
        f"{assumed.redis_commands:,.0f} commands a second a core, {assumed.redis_memory / GIB:.0f} GiB; half is used"
    )
    answer = f"{assumed.entry:.0f} bytes for {assumed.ttl:.0f} s; a limit's counter {assumed.counter:.0f} bytes"
    rows = (
        ("the highest second", "three times the mean; 1.5 times at 1 M a second, where callers even out"),
        ("a worker then", f"takes {assumed.utilisation:.0%} of a core; one replica more than that needs, two at least"),
        ("what a node does not remember", f"is in Redis for {assumed.shared:.0%}; the rest is made and put there"),
        ("a lease of a limit", f"one round trip for {assumed.lease:.0f} requests (a quarter of a burst of 100)"),
        ("a caller", f"asks every {assumed.pause:.0f} s"),
        ("a thread of Envoy", f"{assumed.envoy_thread:,.0f} requests a second, and a connection to each worker"),
        ("a worker's polls", f"{assumed.polls:.0f} a second, for what is to be forgotten"),
        ("a Redis", redis),
        ("an answer in Redis", answer),
        ("prices", f"${assumed.cpu_hour} a vCPU and hour, ${assumed.gib_hour} a GiB and hour, 730 hours a month"),
    )
    return _table(("what", "assumed"), rows)


def world_table(world: World) -> str:
    pairs = ((one, other) for one in range(len(REGIONS)) for other in range(one))
    ways = ", ".join(f"{REGIONS[other]} to {REGIONS[one]} {WAYS[one, other] * 1e3:.0f} ms" for one, other in pairs)
    load = f"{world.rate:,.0f} requests a second and worker, by a Poisson process; {world.nodes} nodes of one worker"
    rows = (
        ("distances, one way", f"{ways}; {world.jitter:.0%} more in the mean, at random"),
        ("load of a region", load),
        ("callers of a region", f"{world.users:,} users x {world.paths} paths, each by Zipf's law (s = 1)"),
        ("an answer", f"lives {world.ttl:.0f} s; in the region's Redis {world.redis * 1e3:g} ms away, there and back"),
        ("the failure", f"`ap` is gone at once; its callers go elsewhere {world.notices:.0f} s later, unknown there"),
        ("what is to be forgotten", f"is written to each region's Redis; {world.repeated:.1%} twice, a second later"),
        ("a worker", f"asks for it every {world.interval * 1e3:.0f} ms (`interval`)"),
    )
    return _table(("what", "assumed"), rows)


def staleness_table(heard: Mapping[str, Floats]) -> str:
    rows = []
    for name, times in heard.items():
        cuts = (*np.quantile(times, (0.5, 0.99)), times[-1])
        rows.append((name, *(f"{seconds * 1e3:,.0f} ms" for seconds in cuts)))
    return _table(("a worker of", "p50", "p99", "longest"), rows)


def failover_table(runs: Runs, world: World) -> str:
    usual = next(iter(runs.values()))["us"]
    columns = {"us, before": _column(usual, usual.asked.at < world.fails, world)}
    for spread, run in runs.items():
        for region, answered in run.items():
            down = answered.asked.at > world.fails + world.notices
            columns[f"{region}, {spread}"] = _column(answered, down, world)
    names = list(columns["us, before"])
    return _table(("", *columns), [(name, *(column[name] for column in columns.values())) for name in names])


def _column(answered: Answered, mask: Mask, world: World) -> dict[str, str]:
    at, moved = answered.asked.at[mask], answered.asked.distance[mask] > 0
    added, level = answered.added[mask] * 1e3, answered.level[mask]
    by_second = loads(answered, world)
    usual, worst = by_second[: int(world.fails)].mean(), by_second[int(at.min()) : int(np.ceil(at.max()))].max()
    levels = np.bincount(level, minlength=3) / level.size
    return {
        "answered from the node's memory": f"{levels[0]:.1%}",
        "from the region's Redis": f"{levels[1]:.1%}",
        "made anew": f"{levels[2]:.1%}",
        "added to its own callers, p50 and p99": _cuts(added[~moved]),
        "added to those who came, p50 and p99": _cuts(added[moved]),
        "load of a worker, mean": f"{answered.cpu[mask].sum() / (at.max() - at.min()) / world.nodes:.1%}",
        "load of a worker, worst second": f"{worst:.1%}",
        f"load before from which the worst second is {FULL:.0%}": f"{FULL * usual / worst:.0%}" if moved.any() else "",
    }


def _cuts(added: Floats) -> str:
    if not added.size:
        return ""
    low, high = np.quantile(added, (0.5, 0.99))
    return f"{low:.2f} and {high:.2f} ms"
