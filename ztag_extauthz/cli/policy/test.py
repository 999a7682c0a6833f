"""`ztag policy test`: the tests of policies, what they cover, and why one fails."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ztag_extauthz.cli.common import FAILED
from ztag_extauthz.cli.policy.common import (
    JsonOption,
    PathsArgument,
    console,
    printable,
    shown_explanation,
    sources,
    telling_policy_mistakes,
)

if TYPE_CHECKING:
    from rich.text import Text

    from ztag_extauthz.cli.policy.runner import Result, Runner
    from ztag_extauthz.rego.coverage import FileCoverage

SOME_FAILED = 1
"""Exit code where a test is not true, as opposed to one that has no answer."""

COLOURS = {"pass": "green", "fail": "red", "error": "bold red", "skipped": "yellow"}


def run_tests(
    paths: PathsArgument,
    run: Annotated[str, typer.Option("--run", "-r", help="Only tests whose name has this regular expression.")] = "",
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Also the tests that pass.")] = False,
    coverage: Annotated[bool, typer.Option("--coverage", "-c", help="Also the lines that were reached.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run the rules test_… as `opa test` does. Exit code 0: all true, 1: some not, 2: errors, or nothing to run.

    A test that fails is explained. Rules todo_test_… are skipped.
    """
    with telling_policy_mistakes():
        from ztag_extauthz.cli.policy.runner import Outcome, Runner

        modules, data = sources(paths, tests=True)
        runner = Runner(modules, data, _pattern(run))
        results = [runner.run(one) for one in runner.tests]
        covered = runner.coverage() if coverage else None
        if as_json:
            print(json.dumps(_document(results, covered), indent=2))
        else:
            _show(runner, results, covered, verbose=verbose)
    outcomes = {result.outcome for result in results}
    if Outcome.ERROR in outcomes or not results:
        raise typer.Exit(FAILED)
    raise typer.Exit(SOME_FAILED if Outcome.FAIL in outcomes else 0)


def _pattern(text: str) -> str:
    import re

    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"--run {text}: {error}") from None
    return text


def _document(results: "Sequence[Result]", covered: "Mapping[str, FileCoverage] | None") -> dict[str, Any]:
    tests = [
        {
            "name": result.test.name,
            "file": result.test.file,
            "line": result.test.line,
            "outcome": result.outcome,
            "microseconds": round(result.seconds * 1e6),
            "detail": result.detail,
        }
        for result in results
    ]
    if covered is None:
        return {"tests": tests}
    files = {
        file: {"percent": round(lines.percent, 1), "covered": lines.covered, "missed": lines.missed}
        for file, lines in covered.items()
    }
    return {"tests": tests, "coverage": files}


def _show(
    runner: "Runner", results: "Sequence[Result]", covered: "Mapping[str, FileCoverage] | None", *, verbose: bool
) -> None:
    screen = console()
    for result in results:
        failed = result.outcome in {"fail", "error"}
        if verbose or failed:
            screen.print(_line(result))
        if failed:
            screen.print(shown_explanation(runner.explain(result.test)))
            screen.print()
    if covered is not None:
        _show_coverage(covered)
    screen.print(_summary(results))


def _line(result: "Result") -> "Text":
    from rich.text import Text

    took = f" ({result.seconds * 1e6:.0f} µs)" if result.outcome != "skipped" else ""
    detail = f": {printable(result.detail)}" if result.detail else ""
    place = f"{result.test.file}:{result.test.line}"
    return Text.assemble((result.outcome, COLOURS[result.outcome]), f" {result.test.name}{took}{detail}  {place}")


def _summary(results: "Sequence[Result]") -> "Text":
    from rich.text import Text

    if not results:
        return Text("no tests: none of the rules is named test_…", "red")
    counts = Counter(result.outcome for result in results)
    shown = [Text(f"{count} {outcome}", COLOURS[outcome]) for outcome, count in sorted(counts.items())]
    took = sum(result.seconds for result in results) * 1e3
    return Text.assemble(Text(", ").join(shown), f" of {len(results)} in {took:.1f} ms")


def _show_coverage(covered: "Mapping[str, FileCoverage]") -> None:
    screen = console()
    width = max(map(len, covered))
    for file, lines in covered.items():
        missed = f"  not reached: {ranges(lines.missed)}" if lines.missed else ""
        colour = "yellow" if lines.missed else "green"
        screen.print(f"[{colour}]{lines.percent:5.1f} %[/]  {file:<{width if missed else 0}}{missed}")


def ranges(lines: Sequence[int]) -> str:
    """Return line numbers as `3-5, 9`."""
    parts: list[list[int]] = []
    for line in lines:
        if parts and line == parts[-1][1] + 1:
            parts[-1][1] = line
        else:
            parts.append([line, line])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)
