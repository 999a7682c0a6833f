"""ztag beside its peers over gRPC: the same policy, the same tokens, asked in turn.

    python -m loadtest.peers [--rounds 5] [--requests 10000]

ztag has one worker and writes its audit log besides; a peer has as many threads as there are cores. A round asks each
once; the ratios are taken within a round. CPU is the server's own processes', from the kernel.
"""

import argparse
from contextlib import ExitStack

from loadtest.bench import console
from loadtest.peers.servers import targets
from loadtest.servers import Own, ask_in_turn, show
from loadtest.workload import workload


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=10_000, help="requests a round and server")
    arguments = parser.parse_args()
    with workload() as load, ExitStack() as parts:
        own = [
            Own("ztag", "h2corn", load),
            Own("ztag, policy cache off", "h2corn", load, settings=load.uncached),
            Own("ztag on grpcio", "grpcio", load),
            Own("ztag, constant answer", "h2corn", load, "constant"),
        ]
        for target in own:
            parts.callback(target.close)
        everybody = [*targets(parts, load), *own]
        ask_in_turn(console, everybody, arguments.rounds, arguments.requests)
        show(console, everybody)


if __name__ == "__main__":
    main()
