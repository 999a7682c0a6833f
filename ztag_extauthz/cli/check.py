"""`ztag check`: one decision, and the way it took."""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ztag_extauthz.cli.common import (
    DEFAULT_CONFIG,
    FAILED,
    ConfigOption,
    load_settings,
    read_text,
    resources_for,
    telling_mistakes,
)

if TYPE_CHECKING:
    from ztag_extauthz.cli.trace import Trace

MethodOption = Annotated[str, typer.Option("--method", "-X")]
PathOption = Annotated[str, typer.Option(help="Path and query, as Envoy would send them.")]
HostOption = Annotated[str, typer.Option()]
HeaderOption = Annotated[list[str] | None, typer.Option("--header", "-H", help="name: value; may be repeated.")]
BodyOption = Annotated[str, typer.Option("--body", "-d")]
PrincipalOption = Annotated[str, typer.Option(help="The peer that Envoy verified: spiffe://…")]
EXIT_CODES = {"allow": 0, "deny": 1, "answered": 1, "error": FAILED}


def check(
    file: Annotated[str | None, typer.Argument(help="A CheckRequest as JSON; - for stdin.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    method: MethodOption = "GET",
    path: PathOption = "/",
    host: HostOption = "localhost",
    header: HeaderOption = None,
    body: BodyOption = "",
    principal: PrincipalOption = "",
    timeout: Annotated[float, typer.Option(min=0.001, help="Seconds until the decision has to be there.")] = 5.0,
    show_input: Annotated[bool, typer.Option("--input", help="Also what the policy saw and met, secrets too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON, also on a terminal.")] = False,
) -> None:
    """Decide on one request as the server would. Exit code 0: allow, 1: deny or answered by ztag itself, 2: error."""
    with telling_mistakes():
        text = check_request_of(file, method, path, host, header or [], body, principal)
        settings = load_settings(config)
        from ztag_extauthz.cli.trace import trace  # heavy

        found = trace(settings, resources_for(config.parent), text, timeout, with_values=show_input)
    if as_json or not sys.stdout.isatty():
        print(json.dumps(found.as_json(with_input=show_input), indent=2))
    else:
        _print(found, show_input=show_input)
    raise typer.Exit(EXIT_CODES[found.outcome])


def check_request_of(
    file: str | None, method: str, path: str, host: str, header: list[str], body: str, principal: str
) -> str:
    """Return a file's CheckRequest in JSON, or one made of the options. Raises `OSError`, `MessageError`."""
    if file and file.endswith((".yaml", ".yml")):
        raise typer.BadParameter(f"FILE is a CheckRequest in JSON; for a configuration: --config {file}")
    if not file:
        return json.dumps(_request(method, path, host, header, body, principal))
    from ztag_extauthz.envoy.protojson import check_request
    from ztag_extauthz.errors import MessageError

    text = read_text(file)
    try:
        check_request(text)
    except MessageError as error:
        raise MessageError(f"{'stdin' if file == '-' else file}: {error}") from None
    return text


def _request(method: str, path: str, host: str, header: list[str], body: str, principal: str) -> dict[str, Any]:
    """Return a CheckRequest as Envoy would send it."""
    pairs = [line.partition(":") for line in header]
    if wrong := [name for name, colon, _ in pairs if not colon or not name.strip()]:
        raise typer.BadParameter(
            f"{', '.join(map(repr, wrong))} is no header: write name: value", param_hint="--header"
        )
    headers = {":method": method, ":path": path, ":authority": host}
    for name, _, value in pairs:
        key = name.strip().lower()
        headers[key] = f"{headers[key]},{value.strip()}" if key in headers else value.strip()
    if body:
        headers |= {"x-envoy-auth-partial-body": "false", "content-length": str(len(body.encode()))}
    http = {"method": method, "path": path, "host": host, "scheme": "http", "protocol": "HTTP/1.1", "headers": headers}
    if body:
        http |= {"body": body, "size": str(len(body.encode()))}
    source: dict[str, Any] = {"address": {"socketAddress": {"address": "127.0.0.1", "portValue": 1}}}
    if principal:
        source["principal"] = principal
    return {"attributes": {"source": source, "request": {"http": http}}}


def _print(found: "Trace", *, show_input: bool) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    console = Console()
    colour = {"allow": "green", "deny": "yellow", "answered": "cyan", "error": "red"}[found.outcome]
    console.print(Text.assemble((found.outcome, f"bold {colour}"), f"  {found.summary}"))
    table = Table("stage", "verdict", "by", Column("µs", justify="right"))
    for row in found.stages:
        table.add_row(row.stage, row.verdict, row.decided_by, f"{row.microseconds:.1f}" if row.microseconds else "")
    console.print(table)
    for policy in found.policies:
        reads = Table("the policy reads", "value", box=None, padding=(0, 2, 0, 0))
        for path, value in policy.reads.items():
            reads.add_row(path, Text(value if isinstance(value, str) else json.dumps(value), overflow="ellipsis"))
        console.print(reads)
        console.print("and tried:")
        console.print(Text("\n".join(policy.explanation)))
    for line in found.warnings:
        console.print(Text(f"warning: {line}", "yellow"))
    console.print("Envoy gets:")
    console.print_json(json.dumps(found.envoy))
    if show_input:
        console.print("The policy saw:")
        console.print_json(json.dumps(found.policy_input))
