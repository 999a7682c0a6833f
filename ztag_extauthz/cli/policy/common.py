"""What the policy commands share: loading, terminals, and how mistakes in policies are shown."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from ztag_extauthz.cli.common import FAILED, read_text, telling_mistakes

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from ztag_extauthz.errors import MistakesError
    from ztag_extauthz.rego.engine import Policy
    from ztag_extauthz.rego.errors import Mistake
    from ztag_extauthz.rego.explain import Explanation

SECONDS = 30.0
"""A command's evaluation ends after so long."""

PathsArgument: TypeAlias = Annotated[list[str], typer.Argument(help="Policy and data files, folders, bundles.")]
PoliciesOption: TypeAlias = Annotated[
    list[str], typer.Option("--policies", "--policy", help="File, folder or bundle; may be repeated.")
]
DecisionOption: TypeAlias = Annotated[str, typer.Option(help="The rule to ask for: envoy/authz/result.")]
InputOption: TypeAlias = Annotated[str, typer.Option("--input", help="File with the input document; - for stdin.")]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="JSON, also on a terminal.")]


def sources(paths: Sequence[str], *, tests: bool = False) -> tuple[Mapping[str, str], Any]:
    """Return Rego text by file name, and the data. Raises `PolicyError`."""
    from ztag_extauthz.authorization.bundle import files  # heavy
    from ztag_extauthz.rego.documents import from_python

    loaded = files.load(tuple(paths), Path.cwd(), tests=tests)
    return loaded.modules, from_python(loaded.data)


def load_decision(paths: Sequence[str], decision: str) -> "tuple[Policy, str]":
    """Return the policy compiled for one decision, and the decision's path. Raises `PolicyError`."""
    from ztag_extauthz.authorization.engines.interface import decision_path
    from ztag_extauthz.rego.engine import compile_policy
    from ztag_extauthz.rego.errors import PolicyError

    modules, data = sources(paths)
    point = "/".join(decision_path(decision))
    try:
        return compile_policy(modules, data, entry_points=(point,)), point
    except PolicyError as error:
        if error.mistakes[0].code != "rego_entry_point_error":
            raise
        raise unknown_decision(decision, modules) from None


def unknown_decision(decision: str, modules: Mapping[str, str]) -> "MistakesError":
    """Return the mistake of asking for what no rule defines."""
    from ztag_extauthz.authorization.engines.interface import decision_path
    from ztag_extauthz.errors import Mistake, PolicyError
    from ztag_extauthz.rego.analysis.conflicts import nearest

    remedy = nearest("/".join(decision_path(decision)), rules_of(modules))
    return PolicyError((Mistake(f"decision {decision}", "no rule defines it", remedy),))


def rules_of(modules: Mapping[str, str]) -> list[str]:
    """Return every rule that is no function, as a path."""
    from ztag_extauthz.rego.lower.names import fixed_path
    from ztag_extauthz.rego.syntax.modules import parse_module

    parsed = [parse_module(file, text) for file, text in modules.items()]
    found = ["/".join(fixed_path(module, rule)) for module in parsed for rule in module.rules if rule.arguments is None]
    return list(dict.fromkeys(found))


def documents(file: str, *, lines: bool) -> Iterator[tuple[str, str]]:
    """Yield each input document's text and what to call it."""
    name = "stdin" if file == "-" else file
    text = read_text(file)
    if not lines:
        yield text, name
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield line, f"{name}:{number}"


def parse_input(text: str) -> dict[str, Any]:
    """Return an input document; raises `ValueError`."""
    from ztag_extauthz.rego.documents import loads

    document: dict[str, Any] = loads(text)
    if not isinstance(document, dict):
        raise ValueError("the input is no JSON object")  # noqa: TRY004 - told like any other unreadable input
    return document


def console(*, stderr: bool = False) -> "Console":
    """Return a console that colours on a terminal, and never breaks or decorates a line elsewhere."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def printable(text: str) -> str:
    """Return text that a terminal only shows: a bundle's comment must not move the cursor."""
    return "".join(sign if sign.isprintable() or sign in "\t\n" else "\ufffd" for sign in text)


@contextmanager
def telling_policy_mistakes(
    tell: "Callable[[Sequence[Mistake]], None] | None" = None,
) -> Iterator[None]:
    """Tell what the engine refuses with the line and a caret, anything else as every command does; exit with 2."""
    from ztag_extauthz.rego.errors import EvaluationError, PolicyError

    with telling_mistakes():
        try:
            yield
        except PolicyError as error:
            (tell or show_mistakes)(error.mistakes)
            raise typer.Exit(FAILED) from None
        except (EvaluationError, ValueError) as error:
            print(printable(str(error)), file=sys.stderr)
            raise typer.Exit(FAILED) from None


def show_mistakes(mistakes: "Sequence[Mistake]") -> None:
    screen = console(stderr=True)
    for mistake in mistakes:
        screen.print(shown_mistake(mistake))


def shown_mistake(mistake: "Mistake") -> "Text":
    """Return place, OPA's words, the line with a caret below, and the remedy."""
    from rich.text import Text

    place = f"{mistake.file}:{mistake.line}:{mistake.column}" if mistake.line else mistake.file or "policies"
    text = Text.assemble((place, "bold"), ": ", (mistake.code, "red"), f": {printable(mistake.message).expandtabs(4)}")
    if mistake.source.strip():
        text.append(f"\n    {printable(mistake.source).expandtabs(4)}")
        text.append(f"\n    {_indent(mistake.source, mistake.column)}")
        text.append("^", "bold red")
    if mistake.remedy:
        text.append(f"\n    {printable(mistake.remedy)}", "green")
    return text


def _indent(line: str, column: int) -> str:
    from rich.cells import cell_len

    return " " * cell_len(printable(line[: column - 1]).expandtabs(4))


def shown_explanation(explanation: "Explanation") -> "Text":
    """Return the rules that were tried, what each gave, and where it failed."""
    from rich.text import Text

    styles = {"tried": "bold", "gave": "green", "failed": "yellow"}
    lines = [Text(printable(str(event)), styles[event.kind]) for event in explanation.events]
    ending = str(explanation).rpartition("\n")[2]
    return Text("\n").join([*lines, Text(printable(ending), "red" if explanation.error else "bold")])
