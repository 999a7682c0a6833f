"""`ztag policy eval`: one decision's value, and on demand why."""

import sys
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from ztag_extauthz.cli.common import FAILED
from ztag_extauthz.cli.policy.common import (
    SECONDS,
    DecisionOption,
    InputOption,
    PoliciesOption,
    console,
    documents,
    load_decision,
    parse_input,
    printable,
    shown_explanation,
    telling_policy_mistakes,
)

if TYPE_CHECKING:
    from ztag_extauthz.rego.engine import Policy

UNDEFINED = 1
"""Exit code where a decision has no value."""


def evaluate(
    policies: PoliciesOption,
    decision: DecisionOption,
    input_: InputOption,
    data: Annotated[list[str] | None, typer.Option(help="More data: a JSON or YAML file; may be repeated.")] = None,
    lines: Annotated[bool, typer.Option("--lines", help="An input document on each line.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Also tell, on stderr, which rules were tried.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="A built-in's error is an error, not undefined.")] = False,
) -> None:
    """Evaluate a decision and print it as JSON. Exit code 0: a result, 1: undefined, 2: refused or failed."""
    with telling_policy_mistakes():
        policy, point = load_decision([*policies, *(data or [])], decision)
        codes = []
        for text, place in documents(input_, lines=lines):
            if explain:
                _explain(policy, point, text)
            codes.append(_answer(policy, point, text, place, strict=strict))
    raise typer.Exit(max(codes, default=0))


def _answer(policy: "Policy", point: str, text: str, place: str, *, strict: bool) -> int:
    from ztag_extauthz.rego.builtins.interface import Context
    from ztag_extauthz.rego.documents import dumps
    from ztag_extauthz.rego.errors import EvaluationError
    from ztag_extauthz.rego.pace import bounded
    from ztag_extauthz.rego.values import UNDEFINED as NO_VALUE

    try:
        document = parse_input(text)
        deadline = monotonic() + SECONDS
        value = policy.decision(point).evaluate(document, deadline=deadline, strict=strict)
        with bounded(Context(deadline=deadline)):
            shown = "" if value is NO_VALUE else dumps(value, escape_html=False)
    except (ValueError, EvaluationError) as error:
        print(printable(f"{place}: {error}"), file=sys.stderr)
        return FAILED
    if value is NO_VALUE:
        print(f"{place}: undefined", file=sys.stderr)
        return UNDEFINED
    print(shown)
    return 0


def _explain(policy: "Policy", point: str, text: str) -> None:
    try:
        document = parse_input(text)
    except ValueError:
        return  # told with the answer
    explanation = policy.explain(point, document, deadline=monotonic() + SECONDS)
    console(stderr=True).print(shown_explanation(explanation))
