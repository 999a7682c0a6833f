"""Finds the tests of policies, and runs them as `opa test` does: a test passes if it is true, and only then."""

import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from time import monotonic
from typing import Any

from msgspec import Struct

from ztag_extauthz.cli.policy.common import SECONDS
from ztag_extauthz.rego.coverage import Coverage, FileCoverage
from ztag_extauthz.rego.documents import excerpt
from ztag_extauthz.rego.engine import Policy, compile_policy
from ztag_extauthz.rego.errors import EvaluationError
from ztag_extauthz.rego.explain import Explanation
from ztag_extauthz.rego.syntax.modules import parse_module
from ztag_extauthz.rego.syntax.nodes import Rule, Scalar
from ztag_extauthz.rego.values import UNDEFINED, Value

_TEST = re.compile(r"(todo_)?test_")
_MAX_SHOWN = 2_000


class Outcome(StrEnum):
    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    ERROR = "error"
    SKIPPED = "skipped"


class PolicyTest(Struct, frozen=True):
    """One rule whose name begins with `test_` or `todo_test_`."""

    package: tuple[str, ...]
    rule: str
    file: str
    line: int
    has_cases: bool = False
    """`test_x[case]`: OPA tells its cases apart by a trace that is not here."""

    @property
    def name(self) -> str:
        return ".".join(("data", *self.package, self.rule))

    @property
    def point(self) -> str:
        return "/".join((*self.package, self.rule))

    @property
    def skipped(self) -> bool:
        return self.rule.startswith("todo_")


class Result(Struct, frozen=True):
    test: PolicyTest
    outcome: Outcome
    seconds: float = 0.0
    detail: str = ""


def find(modules: Mapping[str, str], pattern: str) -> list[PolicyTest]:
    """Return the tests whose name has the pattern in it, each once, in the order of files and lines."""
    wanted = re.compile(pattern)
    found: dict[str, PolicyTest] = {}
    for file, text in modules.items():
        module = parse_module(file, text)
        for rule in module.rules:
            if _TEST.match(_name(rule)) and rule.arguments is None:
                test = PolicyTest(module.package, _name(rule), file, rule.position[0], len(rule.ref) > 1)
                found.setdefault(test.name, test)
    return [test for test in found.values() if wanted.search(test.name)]


def _name(rule: Rule) -> str:
    first = rule.ref[0]
    return str(first.value) if isinstance(first, Scalar) else ""


class Runner:
    """A policy compiled for its tests. Raises the engine's `PolicyError`."""

    def __init__(self, modules: Mapping[str, str], data: Value, pattern: str) -> None:
        compile_policy(modules, data)
        self._modules = modules
        self._data = data
        self.tests: Sequence[PolicyTest] = find(modules, pattern)
        self._points = [test.point for test in self.tests if not test.skipped]
        self._policy: Policy = compile_policy(modules, data, entry_points=self._points)

    def run(self, test: PolicyTest) -> Result:
        if test.skipped:
            return Result(test, Outcome.SKIPPED)
        if test.has_cases:
            return Result(test, Outcome.ERROR, detail="has cases (test_x[case]): write each as a rule of its own")
        began = monotonic()
        outcome, detail = _outcome(lambda: self._policy.decision(test.point).evaluate(deadline=began + SECONDS))
        return Result(test, outcome, monotonic() - began, detail)

    def explain(self, test: PolicyTest) -> Explanation:
        return self._policy.explain(test.point, deadline=monotonic() + SECONDS)

    def coverage(self) -> Mapping[str, FileCoverage]:
        """Run the tests once more, by code that tells which lines it reaches."""
        coverage = Coverage(self._modules, self._data, self._points)
        for point in self._points:
            _outcome(lambda point=point: coverage.evaluate(point, deadline=monotonic() + SECONDS))  # type: ignore[misc]
        return coverage.files()


def _outcome(evaluate: Callable[[], Any]) -> tuple[Outcome, str]:
    try:
        value = evaluate()
    except (EvaluationError, RecursionError) as error:
        return Outcome.ERROR, str(error)
    if value is True:
        return Outcome.PASS, ""
    if value is UNDEFINED:
        return Outcome.FAIL, "undefined"
    return Outcome.FAIL, f"is {excerpt(value, _MAX_SHOWN)}, not true"
