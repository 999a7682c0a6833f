"""Compare the example policies with the real opa: `python -m loadtest.conformance.examples [--opa PATH] [PATH …]`.

Their tests have to come out alike; `opa check --strict` has to find what `ztag policy check --strict` finds, which is
nothing; and what `ztag policy fmt-check` lets pass `opa fmt` leaves alone. Exit code 1: something differs.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from loadtest.opa import add_opa
from loadtest.rego_bench import POLICIES
from ztag_extauthz.cli.policy.common import sources
from ztag_extauthz.cli.policy.layout import find
from ztag_extauthz.cli.policy.runner import Outcome, Runner
from ztag_extauthz.cli.policy.strict import unused

console = Console()
OUTCOMES = {"fail": Outcome.FAIL, "error": Outcome.ERROR, "skip": Outcome.SKIPPED}


def opa_outcomes(opa: Path, paths: Sequence[str]) -> dict[str, Outcome]:
    """Return how each test came out by its name."""
    found: list[dict[str, Any]] = json.loads(_run(opa, "test", "--bundle", "--format", "json", *paths)) or []
    return {
        f"{test['package']}.{test['name']}": next(
            (ours for key, ours in OUTCOMES.items() if test.get(key)), Outcome.PASS
        )
        for test in found
    }


def our_outcomes(paths: Sequence[str]) -> dict[str, Outcome]:
    modules, data = sources(paths, tests=True)
    runner = Runner(modules, data, "")
    return {test.name: runner.run(test).outcome for test in runner.tests}


def differences(opa: Path, paths: Sequence[str]) -> Iterator[str]:
    """Yield what is not alike."""
    ours, theirs = our_outcomes(paths), opa_outcomes(opa, paths)
    console.print(f"{len(ours)} tests")
    for name in sorted(ours.keys() | theirs.keys()):
        if ours.get(name) != theirs.get(name):
            yield f"{name}: {ours.get(name, 'not there')}, opa: {theirs.get(name, 'not there')}"
    modules, _ = sources(paths, tests=True)
    yield from (str(mistake) for mistake in unused(modules))
    if found := _run(opa, "check", "--strict", "--bundle", *paths):
        yield f"opa check: {found}"
    changed = set(_run(opa, "fmt", "--list", *paths).split())
    console.print(f"{len(modules)} files")
    for file, text in modules.items():
        if (file in changed) != bool(find(file, text)):
            yield f"{file}: opa fmt {'changes it' if file in changed else 'leaves it alone'}"


def _run(opa: Path, *arguments: str) -> str:
    done = subprocess.run([str(opa), *arguments], capture_output=True, text=True, check=False)
    return done.stdout or done.stderr


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_opa(parser)
    parser.add_argument("paths", nargs="*", default=[str(POLICIES)])
    arguments = parser.parse_args()
    opa = arguments.opa
    found = list(differences(opa, arguments.paths))
    for difference in found:
        console.print(difference, markup=False)
    console.print("[red]differs[/]" if found else "[green]alike[/]")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
