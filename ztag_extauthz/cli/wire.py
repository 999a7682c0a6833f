"""`ztag wire`: configuration for the programs that ask ztag."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ztag_extauthz.cli.common import (
    DEFAULT_CONFIG,
    ConfigOption,
    load_settings,
    resources_for,
    sections_of,
    telling_mistakes,
)
from ztag_extauthz.cli.wire_mesh import register, warn_of_timeout

if TYPE_CHECKING:
    from ztag_extauthz.settings import Settings

BODIES = (
    ("parsed_body",),
    ("truncated_body",),
    *(("attributes", "request", "http", key) for key in ("body", "rawBody")),
)
"""What of the input is the body."""

app = typer.Typer(help="Print the configuration of the programs that ask ztag.", no_args_is_help=True)


@app.command()
def envoy(
    config: ConfigOption = DEFAULT_CONFIG,
    full: Annotated[bool, typer.Option("--full", help="A whole envoy.yaml around them.")] = False,
    host: Annotated[str, typer.Option(help="Where Envoy reaches ztag, if not at its listen address.")] = "",
    upstream: Annotated[str, typer.Option(help="host:port that --full routes to. If none: 127.0.0.1:8080.")] = "",
    timeout: Annotated[float, typer.Option(min=0.001, help="Seconds for a check.")] = 0.25,
    body_bytes: Annotated[int, typer.Option(min=0, help="Bytes of the body that ztag is sent; 0 for none.")] = 0,
    raw_headers: Annotated[
        bool,
        typer.Option("--raw-headers", help="Send repeated header fields one by one; policies then read headerMap."),
    ] = False,
    server_name: Annotated[str, typer.Option(help="DNS name in ztag's certificate, with listen.tls.")] = "",
) -> None:
    """Print Envoy's ext_authz filter and the cluster of ztag's workers for the settings in force."""
    with telling_mistakes():
        settings = load_settings(config)
        from ztag_extauthz.wire.print import Order, envoy_yaml  # heavy

        order = Order(
            full=full,
            host=host,
            upstream=upstream or "127.0.0.1:8080",
            timeout=timeout,
            body_bytes=body_bytes,
            raw_headers=raw_headers,
            server_name=server_name,
        )
        print(envoy_yaml(settings, order), end="")
        if upstream and not full:
            print("--upstream: says nothing without --full", file=sys.stderr)
        warn_of_timeout(timeout)
        if not body_bytes and _reads_body(settings, config):
            print("a policy reads the body, and Envoy would send none: add --body-bytes 8192", file=sys.stderr)


def _reads_body(settings: "Settings", config: Path) -> bool:
    """Say whether a policy's decision depends on the body."""
    from ztag_extauthz.authorization.rego import RegoSettings
    from ztag_extauthz.errors import MistakesError

    for section in sections_of(settings, RegoSettings):
        with suppress(MistakesError):  # `config validate` tells what is wrong with a policy
            reads = section.build(resources_for(config.parent)).policy.reads()
            if any(path[: len(body)] == body for path in reads.deep | reads.exists for body in BODIES):
                return True
    return False


register(app)
