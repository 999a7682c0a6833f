"""`ztag policy compile`: the Python that a decision becomes."""

from typing import Annotated

import typer

from ztag_extauthz.cli.policy.common import (
    DecisionOption,
    PathsArgument,
    console,
    load_decision,
    telling_policy_mistakes,
)


def show(
    paths: PathsArgument,
    decision: DecisionOption,
    numbers: Annotated[bool, typer.Option("--numbers", help="Number the lines.")] = False,
) -> None:
    """Print the Python functions that a decision is compiled to.

    Constants (c…), built-ins (b…) and data (d…) stand in tables: nothing of a policy's text becomes code.
    """
    with telling_policy_mistakes():
        policy, _ = load_decision(paths, decision)
    screen = console()
    if not screen.is_terminal and not numbers:
        print(policy.source(), end="")
        return
    from rich.syntax import Syntax

    screen.print(Syntax(policy.source(), "python", line_numbers=numbers, background_color="default"))
