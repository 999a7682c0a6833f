"""The command line: `ztag COMMAND`, one file a command.

A command imports what it needs when it runs, so that `ztag --version` and completion stay quick.
"""

import sys
import traceback

import typer

from ztag_extauthz import __version__
from ztag_extauthz.cli import check, config, demo, forget, key, policy, replay, revoke, risk, serve, wire
from ztag_extauthz.cli.common import FAILED

app = typer.Typer(
    help="ztag: an external-authorization server for Envoy and Istio.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a traceback with local variables would print secrets
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(serve.serve)
app.command()(check.check)
app.command()(demo.demo)
app.command()(replay.replay)
app.command()(revoke.revoke)
app.add_typer(config.app, name="config")
app.add_typer(forget.app, name="forget")
app.add_typer(key.app, name="key")
app.add_typer(policy.app, name="policy")
app.add_typer(risk.app, name="risk")
app.add_typer(wire.app, name="wire")


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)


def _print_version(value: bool) -> None:
    if value:
        version()
        raise typer.Exit


@app.callback()
def _root(
    _version: bool = typer.Option(
        False,
        "--version",
        callback=_print_version,
        is_eager=True,
        help="Print the version.",
    ),
) -> None:
    pass


def main() -> None:
    """Run the command that the arguments name. What nobody expected exits with 2, for 1 is an answer (`no`)."""
    try:
        app()
    except Exception:  # noqa: BLE001 - the traceback says what it was
        traceback.print_exc()
        sys.exit(FAILED)
