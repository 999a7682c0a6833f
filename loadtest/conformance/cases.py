"""OPA's own evaluation cases, answered by the engine, and the table of how they went, by family.

    python -m loadtest.conformance.cases [--cases rego-cases.jsonl] [--show wrong|refused|failed]

| column  | the engine                                                                             |
|---------|----------------------------------------------------------------------------------------|
| right   | gave the wanted value, or failed where it has to                                       |
| refused | refused the policy when it was loaded, with its reason                                 |
| failed  | had no answer when it was evaluated, and said so                                       |
| wrong   | gave another value, or one where it has to fail: this column has to be empty           |
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final

from ztag_extauthz.rego.documents import dumps, loads
from ztag_extauthz.rego.engine import compile_policy
from ztag_extauthz.rego.errors import EvaluationError, PolicyError
from ztag_extauthz.rego.values import UNDEFINED, equal, members, unkey

FILE: Final = "rego-cases.jsonl"
OUTCOMES: Final = ("right", "refused", "failed", "wrong")
_SECONDS: Final = 10.0
# Where OPA has changed its mind since the suite was made: what OPA 1.22.2 answers.
_NEWER: Final = {
    "reachable_paths/cycle_1022_3": [
        {
            "x": [
                ["one", "five", "seven", "eight", "three"],
                ["one", "five", "six", "nine"],
                ["one", "five", "six", "seven", "eight", "three"],
                ["one", "two", "four", "three"],
            ]
        }
    ]
}


@dataclass(frozen=True, slots=True)
class Outcome:
    kind: str
    reason: str = ""


def published() -> Path | None:
    """Return where the cases are, if the environment says so (CONTRIBUTING.md)."""
    folder = os.environ.get("ZTAG_VECTORS")
    return Path(folder, FILE) if folder else None


def load(path: Path) -> list[dict[str, Any]]:
    return [loads(line) for line in path.read_text().splitlines()]


def run(case: dict[str, Any]) -> Outcome:
    """Answer one case and compare."""
    wants_failure = "want_error" in case or "want_error_code" in case
    try:
        policy = _compiled(case)
    except PolicyError as error:
        reason = error.mistakes[0].message if error.mistakes else str(error)
        return Outcome("right" if wants_failure and _expected(error) else "refused", reason)
    try:
        document = _input(case)
        deadline = monotonic() + _SECONDS
        got = policy.query(case["query"], document, strict=case.get("strict_error", False), deadline=deadline)
    except EvaluationError as error:
        return Outcome("right" if wants_failure else "failed", str(error))
    if wants_failure:
        return Outcome("wrong", f"no error, but {got!r}")
    want = _NEWER.get(case["note"], case.get("want_result", []))
    good = _same_solutions(got, want, ordered=not case.get("sort_bindings", False))
    return Outcome("right") if good else Outcome("wrong", f"got {got!r}, want {case.get('want_result')!r}")


def _compiled(case: dict[str, Any]) -> Any:
    modules = {f"module{place}.rego": text for place, text in enumerate(case.get("modules", []))}
    return compile_policy(modules, case.get("data", {}), queries=[case["query"]])


def _expected(error: PolicyError) -> bool:
    """Tell whether a policy was refused for a reason of OPA's, not for one of ours."""
    ours = {"rego_unsupported_error"}
    return "is not supported" not in str(error) and not any(mistake.code in ours for mistake in error.mistakes)


def _input(case: dict[str, Any]) -> Any:
    if "input_term" in case:
        query = f"x = {case['input_term']}"
        return compile_policy({}, queries=[query]).query(query)[0]["x"]
    return case.get("input", UNDEFINED)


def _same_solutions(got: list[Any], want: list[Any], *, ordered: bool) -> bool:
    if len(got) != len(want):
        return False
    rest = list(got)
    for wanted in want:
        place = next((place for place, given in enumerate(rest) if same(given, wanted, ordered=ordered)), None)
        if place is None:
            return False
        del rest[place]
    return True


def same(got: Any, want: Any, *, ordered: bool = True) -> bool:
    """Compare with a value of the suite, which writes sets as arrays."""
    if got.__class__ is frozenset:
        return want.__class__ is list and _same_members(members(got), want, ordered=ordered)
    if got.__class__ is list and want.__class__ is list:
        if len(got) == len(want) and all(same(a, b, ordered=ordered) for a, b in zip(got, want, strict=True)):
            return True
        return not ordered and _same_members(got, want, ordered=ordered)
    if got.__class__ is dict and want.__class__ is dict:
        given = {_name(form): value for form, value in got.items()}
        return given.keys() == want.keys() and all(same(given[name], want[name], ordered=ordered) for name in want)
    return equal(got, want)


def _name(form: Any) -> Any:
    return form if form.__class__ is str else dumps(unkey(form), escape_html=False)


def _same_members(got: list[Any], want: list[Any], *, ordered: bool) -> bool:
    return len(got) == len(want) and _same_solutions(got, want, ordered=ordered)


def table(results: list[tuple[dict[str, Any], Outcome]]) -> str:
    families: dict[str, Counter[str]] = {}
    for case, outcome in results:
        families.setdefault(case["family"], Counter())[outcome.kind] += 1
    total = sum(families.values(), Counter())
    lines = [f"{'family':34}{'cases':>7}" + "".join(f"{name:>9}" for name in OUTCOMES)]
    for family, counts in [*sorted(families.items()), ("all", total)]:
        shown = "".join(f"{counts[name] or '':>9}" for name in OUTCOMES)
        lines.append(f"{family:34}{counts.total():>7}{shown}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="run OPA's evaluation cases through the engine")
    parser.add_argument("--cases", type=Path, default=published())
    parser.add_argument("--show", choices=OUTCOMES, action="append", default=["wrong"])
    options = parser.parse_args()
    if options.cases is None:
        print(f"skipped: set ZTAG_VECTORS to the folder that has {FILE}, or name the file by --cases")
        return 0
    results = [(case, run(case)) for case in load(options.cases)]
    print(table(results))
    for case, outcome in results:
        if outcome.kind in options.show:
            print(f"{outcome.kind}: {case['file']} {case['note']}: {outcome.reason[:300]}")
    return any(outcome.kind == "wrong" for _, outcome in results)


if __name__ == "__main__":
    sys.exit(main())
