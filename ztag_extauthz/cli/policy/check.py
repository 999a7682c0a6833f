"""`ztag policy check`: every mistake of policies, as OPA words it."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ztag_extauthz.cli.common import FAILED
from ztag_extauthz.cli.policy.common import JsonOption, PathsArgument, console, show_mistakes, sources

if TYPE_CHECKING:
    from ztag_extauthz.rego.errors import Mistake


def check(
    paths: PathsArgument,
    strict: Annotated[bool, typer.Option("--strict", help="Also unused imports, variables and arguments.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Tell every mistake of policies, tests and data. Exit code 0: none, 2: some."""
    from ztag_extauthz.cli.policy.strict import unused
    from ztag_extauthz.errors import MistakesError
    from ztag_extauthz.rego.errors import Mistake, PolicyError

    modules: Mapping[str, str] = {}
    found: list[Mistake] = []
    try:
        modules, data = sources(paths, tests=True)
        compile_all(modules, data)
        found = list(unused(modules)) if strict else []
    except PolicyError as error:
        found = error.mistakes
    except MistakesError as error:
        found = [Mistake(each.where, 0, 0, "rego_load_error", each.what, "", each.remedy) for each in error.mistakes]
    _tell(found, len(modules), as_json=as_json)
    raise typer.Exit(FAILED if found else 0)


def compile_all(modules: Mapping[str, str], data: object) -> None:
    """Compile every rule of every package; raises the engine's `PolicyError`."""
    from ztag_extauthz.rego.engine import compile_policy
    from ztag_extauthz.rego.syntax.modules import parse_module

    compile_policy(modules, data)
    packages = {parse_module(file, text).package for file, text in modules.items()}
    compile_policy(modules, data, entry_points=sorted("/".join(package) for package in packages))


def _tell(found: "Sequence[Mistake]", files: int, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"mistakes": [asdict(mistake) for mistake in found]}, indent=2))
        return
    show_mistakes(found)
    if found:
        print(f"{len(found)} mistake{'s' if len(found) > 1 else ''}", file=sys.stderr)
    else:
        console().print(f"[green]ok[/]: {files} file{'s' if files > 1 else ''}")
