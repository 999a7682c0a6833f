"""`ztag demo`: real requests through a real Envoy."""

from typing import Annotated

import typer

from ztag_extauthz.cli.common import telling_mistakes


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running afterwards, until Ctrl-C.")] = False,
) -> None:
    """Start Envoy, ztag, an issuer and an upstream, and show what real requests get. Exit code 1 if any differs."""
    with telling_mistakes():
        from ztag_extauthz.demo.show import run  # heavy, and an extra

        differing = run(keep=keep)
    raise typer.Exit(1 if differing else 0)
