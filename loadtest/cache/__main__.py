"""`python -m loadtest.cache`: all of it, or what is named: hits, stopped, failover."""

import sys

from rich.console import Console

from loadtest.cache import failover, latency

PARTS = {"hits": latency.show_hits, "stopped": latency.show_stopped, "failover": failover.show}

if __name__ == "__main__":
    console = Console(width=160, highlight=False)
    for name in sys.argv[1:] or PARTS:
        PARTS[name](console)
