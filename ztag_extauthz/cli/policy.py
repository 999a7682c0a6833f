"""`ztag policy`: try policies without a server."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

import typer

from ztag_extauthz.cli.common import FAILED, read_text, telling_mistakes

UNDEFINED = 1
"""Exit code where a decision has no value."""

SECONDS = 30.0

app = typer.Typer(help="Try policies without a server.", no_args_is_help=True)


@app.callback()
def _policy() -> None:
    """Keep `eval` a subcommand though it is alone."""


@app.command(name="eval")
def evaluate(
    policies: Annotated[list[str], typer.Option(help="File, folder or bundle; may be repeated.")],
    decision: Annotated[str, typer.Option(help="The rule to ask for: envoy/authz/result.")],
    input_: Annotated[str, typer.Option("--input", help="File with the input document; - for stdin.")],
    lines: Annotated[bool, typer.Option("--lines", help="An input document on each line.")] = False,
) -> None:
    """Evaluate a decision and print it as JSON. Exit code 0: a result, 1: undefined, 2: refused or failed."""
    with telling_mistakes():
        ask = _asker(policies, decision)
        codes = [_answer(ask, text, place) for text, place in _documents(input_, lines=lines)]
    raise typer.Exit(max(codes, default=0))


def _asker(policies: list[str], decision: str) -> Any:
    from ztag_extauthz.authorization import bundle, engine  # heavy

    loaded = bundle.load(tuple(policies), Path.cwd())
    return engine.load(loaded.modules, loaded.data, decision).evaluate


def _documents(file: str, *, lines: bool) -> Iterator[tuple[str, str]]:
    """Yield each document's text and what to call it."""
    name = "stdin" if file == "-" else file
    text = read_text(file)
    if not lines:
        yield text, name
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield line, f"{name}:{number}"


def _answer(ask: Any, text: str, place: str) -> int:
    from ztag_extauthz.authorization.engine import UNDEFINED as NO_VALUE
    from ztag_extauthz.errors import CheckError

    try:
        value = ask(_parse(text), monotonic() + SECONDS)
    except (ValueError, CheckError) as error:
        print(f"{place}: {error}", file=sys.stderr)
        return FAILED
    if value is NO_VALUE:
        print(f"{place}: undefined", file=sys.stderr)
        return UNDEFINED
    print(json.dumps(value, default=_plain, separators=(",", ":")))
    return 0


def _parse(text: str) -> dict[str, Any]:
    document = json.loads(text)
    if not isinstance(document, dict):
        raise ValueError("the input is no JSON object")  # noqa: TRY004 - told like any other unreadable input
    return document


def _plain(value: Any) -> Any:
    """Return a set as a sorted list, as OPA prints it."""
    if isinstance(value, set | frozenset):
        return sorted(value, key=lambda entry: json.dumps(entry, sort_keys=True, default=_plain))
    raise TypeError(type(value).__name__)
