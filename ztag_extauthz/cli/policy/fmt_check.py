"""`ztag policy fmt-check`: policies that `opa fmt` would write in another way."""

import json

import typer

from ztag_extauthz.cli.policy.common import JsonOption, PathsArgument, console, sources, telling_policy_mistakes

UNFORMATTED = 1
"""Exit code where a file is laid out otherwise."""


def fmt_check(paths: PathsArgument, as_json: JsonOption = False) -> None:
    """Tell where policies are not laid out as `opa fmt` would. Exit code 0: nothing found, 1: something, 2: refused.

    What is told `opa fmt` would change, but it is not everything: indentation by tabs, spaces at the end of lines and
    between signs and words, blank lines, the line break at the end, and the space before a comment. Where lines
    break, how far they are indented and the order of imports are left to `opa fmt`.
    """
    with telling_policy_mistakes():
        from ztag_extauthz.cli.policy.layout import find

        modules, _ = sources(paths, tests=True)
        found = [(file, line, what) for file, text in modules.items() for line, what in find(file, text)]
    if as_json:
        print(json.dumps([{"file": file, "line": line, "what": what} for file, line, what in found], indent=2))
    else:
        screen = console()
        for file, line, what in found:
            screen.print(f"[bold]{file}:{line}[/]: ", end="")
            screen.print(what, markup=False)
    raise typer.Exit(UNFORMATTED if found else 0)
