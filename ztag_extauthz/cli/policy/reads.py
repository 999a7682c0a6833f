"""`ztag policy reads`: what of the input, the data and the world a decision depends on."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from ztag_extauthz.cli.policy.common import (
    JsonOption,
    PathsArgument,
    console,
    rules_of,
    sources,
    telling_policy_mistakes,
    unknown_decision,
)

if TYPE_CHECKING:
    from ztag_extauthz.rego.reads import Reads


class Decision(NamedTuple):
    """What one decision reads, and how long its answers are remembered."""

    reads: "Reads"
    ttl: float
    """Seconds, where the settings of the cache say nothing else."""
    why_not: str
    """What stands against remembering them; "" where nothing does."""


def reads(
    paths: PathsArgument,
    decision: Annotated[list[str] | None, typer.Option(help="Only these decisions; may be repeated.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell for each decision which paths of input and data it can read, and how long it is remembered."""
    with telling_policy_mistakes():
        found = dict(_all(paths, decision or []))
    if as_json:
        print(json.dumps({name: document(each) for name, each in found.items()}, indent=2))
        return
    screen = console()
    for name, each in found.items():
        screen.print(f"[bold]{name}[/]")
        for label, values in _rows(each):
            screen.print(f"  {label:<7}", end="")
            screen.print(values, markup=False)


def _all(paths: list[str], decisions: list[str]) -> Iterable[tuple[str, Decision]]:
    from ztag_extauthz.authorization.engines.interface import decision_path
    from ztag_extauthz.rego.engine import compile_policy

    modules, data = sources(paths)
    from ztag_extauthz.authorization.cache.life import shortest, why_not
    from ztag_extauthz.authorization.cache.settings import CacheSettings

    policy, longest = compile_policy(modules, data), CacheSettings().ttl
    points = ["/".join(decision_path(decision)) for decision in decisions]
    for point in points:
        if not policy.defines(point):
            raise unknown_decision(point, modules)
    for point in points or rules_of(modules):
        found, ttl = policy.reads(point), shortest(policy.annotations(point), longest)
        why = why_not(found, ttl)
        yield point, Decision(found, ttl, why.text if why else "")


def document(decision: Decision) -> dict[str, Any]:
    found = decision.reads
    return {
        "input": sorted(path_text("input", path) for path in found.deep),
        "exists": sorted(path_text("input", path) for path in found.exists),
        "data": sorted(path_text("data", path) for path in found.data),
        "impure": sorted(found.impure),
        "cacheable": not decision.why_not,
        "why_not": decision.why_not,
        "ttl": decision.ttl if not decision.why_not else 0.0,
    }


def _rows(decision: Decision) -> Iterable[tuple[str, str]]:
    parts = document(decision)
    for label in ("input", "exists", "data", "impure"):
        if parts[label]:
            yield label, ", ".join(parts[label])
    yield "cache", f"no: {decision.why_not}" if decision.why_not else f"yes, for {decision.ttl:g} s"


def path_text(root: str, path: tuple[str | int, ...]) -> str:
    """Return a path as Rego writes it."""
    return root + "".join(
        f".{part}" if isinstance(part, str) and part.isidentifier() and part.isascii() else f"[{json.dumps(part)}]"
        for part in path
    )
