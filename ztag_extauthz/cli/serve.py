"""`ztag serve`: answer Envoy."""

import os
from pathlib import Path
from typing import Annotated

import typer


def serve(
    config: Annotated[Path, typer.Option("--config", "-c", help="The configuration file.", show_default=False)],
) -> None:
    """Serve, and print `ready grpc=… admin=…` when requests are accepted.

    SIGTERM drains and ends; SIGHUP, or a changed file, reloads. Exit code 2: the configuration has mistakes.
    """
    from ztag_extauthz.server.supervisor import run

    raise typer.Exit(run(config, os.environ))
