"""`ztag serve`: answer Envoy."""

import os

import typer

from ztag_extauthz.cli.common import DEFAULT_CONFIG, ConfigOption, FileArgument, chosen


def serve(context: typer.Context, file: FileArgument = None, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Serve, and print `ready grpc=… admin=…` when requests are accepted.

    SIGTERM drains and ends; SIGHUP, or a changed file, reloads. Exit code 2: the configuration has mistakes.
    """
    from ztag_extauthz.server.supervisor import run

    raise typer.Exit(run(chosen(context, file, config), os.environ))
