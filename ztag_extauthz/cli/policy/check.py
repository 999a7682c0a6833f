"""`ztag policy check`: every mistake of policies, as OPA words it."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ztag_extauthz.cli.common import FAILED
from ztag_extauthz.cli.policy.common import JsonOption, PathsArgument, console, show_mistakes, unknown_decision

if TYPE_CHECKING:
    from ztag_extauthz import errors
    from ztag_extauthz.authorization.bundle.files import Bundle
    from ztag_extauthz.rego.engine import Policy
    from ztag_extauthz.rego.errors import Mistake


def check(
    paths: PathsArgument,
    strict: Annotated[
        bool, typer.Option("--strict", help="Also what is unused, and a decision that ztag could not read.")
    ] = False,
    decision: Annotated[
        str | None, typer.Option(help="With --strict: the rule that decides; envoy/authz/result if it is there.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell every mistake of policies, tests and data. Exit code 0: none, 2: some."""
    from ztag_extauthz.authorization.bundle import files
    from ztag_extauthz.cli.policy.strict import unused
    from ztag_extauthz.cli.policy.unread import unread
    from ztag_extauthz.rego.documents import from_python
    from ztag_extauthz.rego.errors import PolicyError
    from ztag_extauthz.rego.syntax.modules import parse_modules

    read = files.read(tuple(paths), Path.cwd(), tests=True)
    modules = read.bundle.modules
    found = [_of_loading(each) for each in read.mistakes]
    try:
        if read.has_all_modules:
            policy = compile_all(modules, from_python(read.bundle.data))
            if strict:
                found += [*unused(modules), *_of_lives(policy, modules), *_of_decision(policy, read.bundle, decision)]
        else:  # what else is in the files that are missing, nobody knows
            parse_modules(modules)
    except PolicyError as error:
        found += error.mistakes
    else:
        for warning in unread(paths, Path.cwd(), modules):
            print(f"warning: {warning}", file=sys.stderr)
    _tell(found, len(modules), as_json=as_json)
    raise typer.Exit(FAILED if found else 0)


def _of_loading(mistake: "errors.Mistake") -> "Mistake":
    from ztag_extauthz.rego.errors import Mistake

    return Mistake(mistake.where, 0, 0, "rego_load_error", mistake.what, "", mistake.remedy)


def _of_lives(policy: "Policy", modules: Mapping[str, str]) -> "Iterator[Mistake]":
    """Yield what is wrong with the lives that rules state for their answers."""
    from ztag_extauthz.authorization.cache.life import shortest
    from ztag_extauthz.errors import PolicyError
    from ztag_extauthz.rego.errors import Mistake

    try:
        shortest((note for point in points(modules) for note in policy.annotations(point)), 0.0)
    except PolicyError as error:
        for each in error.mistakes:
            file, _, line = each.where.rpartition(":")
            yield Mistake(file, int(line), 1, "rego_annotation_error", each.what, "", each.remedy)


def _of_decision(policy: "Policy", bundle: "Bundle", named: str | None) -> "Iterator[Mistake]":
    """Yield what is wrong with the decision; that it is not there is a mistake only where it was named."""
    from ztag_extauthz.authorization.engines.interface import USUAL, decision_path
    from ztag_extauthz.cli.policy.shape import misshapen

    decision = named or USUAL
    if named and not policy.defines("/".join(decision_path(named))):
        yield from map(_of_loading, unknown_decision(named, bundle.modules).mistakes)
    else:
        yield from misshapen(bundle.modules, bundle.data, decision)


def compile_all(modules: Mapping[str, str], data: object) -> "Policy":
    """Compile every rule of every package; raises the engine's `PolicyError`."""
    from ztag_extauthz.rego.engine import compile_policy

    compile_policy(modules, data)
    return compile_policy(modules, data, entry_points=points(modules))


def points(modules: Mapping[str, str]) -> Sequence[str]:
    """Return every package, as a path."""
    from ztag_extauthz.rego.syntax.modules import parse_modules

    return sorted({"/".join(module.package) for module in parse_modules(modules).values()})


def _tell(found: "Sequence[Mistake]", files: int, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"mistakes": [asdict(mistake) for mistake in found]}, indent=2))
        return
    show_mistakes(found)
    if found:
        print(f"{len(found)} mistake{'s' if len(found) > 1 else ''}", file=sys.stderr)
    else:
        console().print(f"[green]ok[/]: {files} file{'s' if files > 1 else ''}")
