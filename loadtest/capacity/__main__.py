"""The parts of docs/capacity.md that are figures, and its drawings; with assumptions of your own, printed.

    python -m loadtest.capacity
    python -m loadtest.capacity --cpu-hour 0.03 --typical 250

The costs are those of the last `make loadtest`.
"""

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from msgspec import structs

from loadtest.capacity import drawing, regions, tables
from loadtest.capacity.sizing import LOADS, Assumed, Costs, asked, measured, sized

PAGE: Final = Path(__file__).parents[2] / "docs/capacity.md"
SPREADS: Final = {"spread over both": {"us": 0.5, "eu": 0.5}, "all to the nearest": {"us": 1.0}}
"""What becomes of the load of the region that fails."""
WORLD: Final = regions.World()
CROWDED: Final = f"{LOADS[-1].name}, half of it remembered by the node"
Values = TypeVar("Values", Costs, Assumed)


def made(costs: Costs, assumed: Assumed) -> tuple[dict[str, str], dict[str, str]]:
    """Return the page's tables by their names, and its drawings by their files' names."""
    found, heard = [sized(load, costs, assumed) for load in LOADS], regions.staleness(WORLD)
    runs = {name: regions.failover(costs, WORLD, shares) for name, shares in SPREADS.items()}
    crowded = asked(LOADS[-1], structs.replace(costs, hits=0.5), assumed, found[-1].replicas * LOADS[-1].workers)
    shown = {
        "costs": tables.costs_table(costs),
        "sizes": tables.sizes_table(found),
        "redis": tables.redis_table({**{size.load.name: size.redis for size in found}, CROWDED: crowded}),
        "assumed": tables.assumed_table(assumed),
        "world": tables.world_table(WORLD),
        "staleness": tables.staleness_table(heard),
        "failover": tables.failover_table(runs, WORLD),
    }
    return shown, {"capacity-staleness.svg": _heard(heard), "capacity-failover.svg": _load(runs)}


def rewritten(page: str, shown: Mapping[str, str]) -> str:
    """Put the tables where the page has them. Raises `KeyError` for a place without one."""

    def part(match: re.Match[str]) -> str:
        begin, name, end = match.groups()
        return f"{begin}\n{shown[name]}\n{end}"

    return re.sub(r"(<!-- ([a-z]+): begin -->)\n.*?(<!-- \2: end -->)", part, page, flags=re.DOTALL)


def _heard(heard: Mapping[str, regions.Floats]) -> str:
    share = np.linspace(0.0, 0.999, 200)
    curves = {
        name: list(zip(np.quantile(times, share) * 1e3, share * 100, strict=True)) for name, times in heard.items()
    }
    return drawing.lines("Workers that have forgotten, %", "ms after it was said", curves)


def _load(runs: tables.Runs) -> str:
    curves = {name: list(enumerate(regions.loads(run["us"], WORLD) * 100)) for name, run in runs.items()}
    return drawing.lines("Load of a worker in us, % of a core", "seconds", curves)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    costs, assumed = measured(), Assumed()
    for name, value in {**structs.asdict(costs), **structs.asdict(assumed)}.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, metavar="N", help=f"instead of {value:.6g}")
    given = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    shown, drawings = made(_replaced(costs, given), _replaced(assumed, given))
    if given:
        print("\n\n".join(shown.values()))
        return
    PAGE.write_text(rewritten(PAGE.read_text(), shown))
    for name, picture in drawings.items():
        (PAGE.parent / name).write_text(picture)


def _replaced(values: Values, given: Mapping[str, float]) -> Values:
    return structs.replace(values, **{name: value for name, value in given.items() if hasattr(values, name)})


if __name__ == "__main__":
    main()
