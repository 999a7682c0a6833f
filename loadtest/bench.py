"""What a decision costs: each stage in µs, and the whole against a constant answer on the same engine.

    python -m loadtest.bench [--rounds 5] [--requests 20000]

1. Stages run in this process, one after the other, on the settings and policy of `policy/`: medians of several loops.
   First what is asked again and again, then what nobody has asked before.
2. Servers on loopback, all at the same time, are asked in turn: a round asks each once, the ratios are taken within a
   round, and their median is printed. CPU is the server process's own, from the kernel. The first ones go one step
   further each: decode, then the three stages (admission, authentication, authorization), encode, reporting.
"""

import argparse
from collections.abc import Sequence
from contextlib import ExitStack

from rich.console import Console

from loadtest.cold import cold_costs, show_cold
from loadtest.servers import Own, Target, ask_in_turn, show
from loadtest.stages import known_costs, show_stages, stage_costs
from loadtest.workload import Workload, workload

console = Console() if Console().is_terminal else Console(width=140)


def compare(load: Workload, rounds: int, requests: int) -> Sequence[Target]:
    """Ask every engine, from a constant answer to the full way."""
    with ExitStack() as stack:
        targets = [
            Own("h2corn, constant", "h2corn", load, "constant"),
            Own("+ decode", "h2corn", load, "decode"),
            Own("+ three stages", "h2corn", load, "decide"),
            Own("+ encode", "h2corn", load, "encode"),
            Own("+ reporting: the whole way", "h2corn", load, settings=load.read),
            Own("the whole way, no policy cache", "h2corn", load, settings=load.uncached),
            Own("full: known again", "h2corn", load),
            Own("full, limits, risk", "h2corn", load, settings=load.guarded),
            Own("grpcio, constant", "grpcio", load, "constant"),
            Own("grpcio, full", "grpcio", load),
        ]
        for target in targets:
            stack.callback(target.close)
        ask_in_turn(console, targets, rounds, requests)
        return targets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=20_000, help="requests a round and server")
    arguments = parser.parse_args()
    with workload() as load:
        show_stages(console, stage_costs(load), "One warm request on its whole way, without an engine, µs of CPU")
        show_stages(console, known_costs(load), "One warm request that is known again, without an engine, µs of CPU")
        show_cold(console, cold_costs(load))
        show(console, compare(load, arguments.rounds, arguments.requests))


if __name__ == "__main__":
    main()
