"""python -m loadtest.identity [costs] [attacks] [keys] [replicas]: all four, or those named."""

import sys

from rich.console import Console

from loadtest.identity import attacks, costs, keys, replicas

PARTS = {"costs": costs.show, "attacks": attacks.show, "keys": keys.show, "replicas": replicas.show}


def main() -> None:
    console = Console(width=130)
    for name in sys.argv[1:] or PARTS:
        PARTS[name](console)


if __name__ == "__main__":
    main()
