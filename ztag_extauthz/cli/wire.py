"""`ztag wire`: configuration for the programs that ask ztag."""

from typing import Annotated

import typer

from ztag_extauthz.cli.common import DEFAULT_CONFIG, ConfigOption, load_settings, telling_mistakes
from ztag_extauthz.cli.wire_mesh import register

app = typer.Typer(help="Print the configuration of the programs that ask ztag.", no_args_is_help=True)


@app.command()
def envoy(
    config: ConfigOption = DEFAULT_CONFIG,
    full: Annotated[bool, typer.Option("--full", help="A whole envoy.yaml around them.")] = False,
    host: Annotated[str, typer.Option(help="Where Envoy reaches ztag, if not at its listen address.")] = "",
    upstream: Annotated[str, typer.Option(help="host:port that --full routes to.")] = "127.0.0.1:8080",
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
            upstream=upstream,
            timeout=timeout,
            body_bytes=body_bytes,
            raw_headers=raw_headers,
            server_name=server_name,
        )
        print(envoy_yaml(settings, order), end="")


register(app)
