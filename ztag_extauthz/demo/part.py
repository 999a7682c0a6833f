"""`python -m ztag_extauthz.demo.part upstream|issuer`: one part of the demo by itself, for containers.

It listens on port 8080 of every address. The issuer gives anybody a token; its name is in `ISSUER`.
"""

import os
import signal
import sys

from ztag_extauthz.demo.issuer import Issuer
from ztag_extauthz.demo.upstream import Echo, LocalServer

EVERYWHERE = ("0.0.0.0", 8080)  # noqa: S104 - a container's own network


def main() -> None:
    """Serve until SIGTERM."""
    part = sys.argv[1]
    server = (
        LocalServer(Echo, EVERYWHERE)
        if part == "upstream"
        else Issuer(EVERYWHERE, os.environ.get("ISSUER", "http://issuer:8080"), tokens_for_all=True)
    )
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    server.stop()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main()
