"""`ztag policy explain`: why one request was answered as it was."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ztag_extauthz.cli.check import (
    EXIT_CODES,
    BodyOption,
    HeaderOption,
    HostOption,
    MethodOption,
    PathOption,
    PrincipalOption,
    check_request_of,
)
from ztag_extauthz.cli.common import DEFAULT_CONFIG, ConfigOption, load_settings, resources_for, telling_mistakes
from ztag_extauthz.cli.policy.common import JsonOption, console, printable
from ztag_extauthz.cli.replay import Decision, KeyFile, Policies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ztag_extauthz.cli.trace import PolicyView

COLOURS = {"allow": "bold green", "deny": "bold yellow", "error": "bold red"}
SECONDS = 10.0


def explain(
    file: Annotated[
        str | None, typer.Argument(help="A CheckRequest as JSON, or with --id a recording; - for stdin.")
    ] = None,
    id_: Annotated[str, typer.Option("--id", help="The decision in a recording (kind: recording).")] = "",
    config: ConfigOption = DEFAULT_CONFIG,
    policy: Policies = None,
    decision: Decision = None,
    key_file: KeyFile = None,
    method: MethodOption = "GET",
    path: PathOption = "/",
    host: HostOption = "localhost",
    header: HeaderOption = None,
    body: BodyOption = "",
    principal: PrincipalOption = "",
    values: Annotated[bool, typer.Option("--values", help="Also the input's values, secrets too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Tell which rules were tried, which held, and which condition failed. Exit code 0: allow, 1: deny, 2: error.

    The request is a file, a recorded one, or made of the options. The input's values are left out.
    """
    if bool(id_) and file is None:
        raise typer.BadParameter(
            "--id names a request of a recording: give its file, too (there is one if reporting has kind: recording)"
        )
    with telling_mistakes():
        if id_ and file:
            found = _recorded(file, id_, config, policy or (), decision, key_file, with_values=values)
        else:
            text = check_request_of(file, method, path, host, header or [], body, principal)
            found = _asked(text, config, policy or (), decision, with_values=values)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        _print(found)
    raise typer.Exit(EXIT_CODES[found["outcome"]])


def _recorded(
    file: str,
    id_: str,
    config: Path,
    paths: "Sequence[str]",
    decision: str | None,
    key_file: Path | None,
    *,
    with_values: bool,
) -> dict[str, Any]:
    from ztag_extauthz.cli import recorded
    from ztag_extauthz.cli.trace import view
    from ztag_extauthz.errors import ZtagError

    one = next((each for each in recorded.load(file, key_file) if each.id == id_), None)
    if one is None:
        why = "it keeps a `sample` of what reached a policy: nothing of a 400, a 401, or a 429 of admission"
        raise ZtagError(f"{file}: has no decision {id_} ({why})")
    authorizers = recorded.policies(config, paths, decision)
    (change,) = recorded.replay((one,), authorizers) or (None,)
    if change is None:
        raise ZtagError(f"{id_}: was refused for {one.reason}, which no policy decides")
    asked = recorded.context(one)
    views = [
        view(each, SECONDS, with_values=with_values)
        for authorizer in authorizers
        for each in authorizer.questions(asked)
    ]
    summary = f"{change.subject}: {change.method} {change.path}"
    was = f" (recorded: {change.before})" if change.differs else ""
    return _document(change.after, summary + was, views, with_values=with_values)


def _asked(
    text: str, config: Path, paths: "Sequence[str]", decision: str | None, *, with_values: bool
) -> dict[str, Any]:
    from ztag_extauthz.authorization.rego import RegoSettings
    from ztag_extauthz.cli.recorded import decision_of
    from ztag_extauthz.cli.trace import trace

    settings = load_settings(config)
    if paths:
        from os.path import relpath

        here = tuple(relpath(path, config.parent) for path in paths)
        replaced = (RegoSettings(kind="rego", policies=here, decision=decision or decision_of(settings)),)
        settings = settings.model_copy(update={"authorization": replaced})
    found = trace(settings, resources_for(config.parent), text, SECONDS, with_values=with_values)
    return _document(found.outcome, found.summary, found.policies, with_values=with_values)


def _document(outcome: str, summary: str, views: "Sequence[PolicyView]", *, with_values: bool) -> dict[str, Any]:
    policies = [
        {
            "decision": each.decision,
            "reads": each.reads if with_values else {path: shape(value) for path, value in each.reads.items()},
            "explanation": list(each.explanation),
        }
        for each in views
    ]
    return {"outcome": outcome, "summary": summary, "policies": policies}


def shape(value: Any) -> str:
    """Return what may be said of a value: its type, and whether it is there."""
    if value == "(undefined)":
        return "undefined"
    if isinstance(value, list | dict):
        return f"{'array' if isinstance(value, list) else 'object'} of {len(value)}"
    return {bool: "boolean", str: "string", type(None): "null"}.get(type(value), "number")


def _print(found: dict[str, Any]) -> None:
    from rich.text import Text

    screen = console()
    screen.print(Text.assemble((found["outcome"], COLOURS[found["outcome"]]), f"  {printable(found['summary'])}"))
    for policy in found["policies"]:
        screen.print(Text(f"\n{policy['decision']} reads", "bold"))
        width = max(map(len, policy["reads"]), default=0)
        for path, value in policy["reads"].items():
            shown = value if isinstance(value, str) else json.dumps(value)
            screen.print(Text(f"  {path:<{width}}  {printable(shown)}"))
        screen.print(Text("and tried", "bold"))
        for line in policy["explanation"]:
            style = "green" if line.startswith("    gave") else "yellow" if line.startswith("    failed") else ""
            screen.print(Text(f"  {printable(line)}", style))
    if not found["policies"]:
        screen.print(Text("no policy was asked"))
