"""`ztag replay`: what another policy would have said to requests that happened."""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ztag_extauthz.cli.common import DEFAULT_CONFIG, ConfigOption, telling_mistakes
from ztag_extauthz.cli.policy.common import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ztag_extauthz.cli.recorded import Change

DIFFERS = 1
"""Exit code where an answer is another than before."""
WIDTH = 200
"""Characters of a line where nobody says how wide the screen is."""
COLOURS = {"allow": "green", "deny": "yellow", "error": "red"}

KeyFile = Annotated[Path | None, typer.Option("--key-file", help="The key that the recording is encrypted with.")]
Policies = Annotated[
    list[str] | None, typer.Option("--policy", help="File, folder or bundle in place of the configuration's.")
]
Decision = Annotated[
    str | None, typer.Option(help="The rule to ask for, with --policy; the configuration's if left out.")
]


def replay(
    files: Annotated[list[str], typer.Argument(help="Recordings of kind: recording; - for stdin.")],
    config: ConfigOption = DEFAULT_CONFIG,
    policy: Policies = None,
    decision: Decision = None,
    key_file: KeyFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON, a document with every change.")] = False,
) -> None:
    """Put recorded requests to a policy, and print who would newly be allowed or denied.

    Exit code 0: every answer is as it was, 1: some differ, 2: refused.
    """
    with telling_mistakes():
        from ztag_extauthz.cli import recorded  # heavy

        recording = [each for file in files for each in recorded.load(file, key_file)]
        authorizers = recorded.policies(config, policy or (), decision)
        changes = recorded.replay(recording, authorizers)
        blind = list(recorded.blind_spots(recording, authorizers))
    for line in blind:
        print(f"warning: {line}", file=sys.stderr)
    differing = [change for change in changes if change.differs]
    if as_json:
        print(json.dumps(_document(changes, len(recording), blind), indent=2))
    else:
        _print(changes, len(recording))
    raise typer.Exit(DIFFERS if differing else 0)


def _document(changes: "Sequence[Change]", recorded: int, blind: "Sequence[str]") -> dict[str, object]:
    from msgspec import to_builtins

    differing = [to_builtins(change) for change in changes if change.differs]
    return {"recorded": recorded, "replayed": len(changes), "warnings": list(blind), "changes": differing}


def _print(changes: "Sequence[Change]", recorded: int) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    screen = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    columns = (Column(name, overflow="fold") for name in ("subject", "method", "path", "before → after", "rule"))
    table = Table(*columns, box=None, padding=(0, 2, 0, 0))
    for change in changes:
        if change.differs:
            after = Text.assemble(f"{change.before} → ", (change.after, COLOURS[change.after]))
            shown = (Text(printable(text)) for text in (change.subject, change.method, change.path))
            table.add_row(*shown, after, Text(printable(change.rule)))
    if table.row_count:
        screen.print(table)
    screen.print(_summary(changes, recorded))


def _summary(changes: "Sequence[Change]", recorded: int) -> str:
    counts = Counter(change.after for change in changes if change.differs)
    newly = {"allow": "newly allowed", "deny": "newly denied", "error": "without an answer now"}
    told = [f"{count} {newly[after]}" for after, count in sorted(counts.items())]
    same = sum(not change.differs for change in changes)
    left_out = recorded - len(changes)
    others = [f"{left_out} left out (refused by limits, risk or a failure)"] if left_out else []
    return f"{len(changes)} replayed: " + ", ".join([*told, f"{same} as before", *others])
