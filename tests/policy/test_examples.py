"""The example policies keep what their own tests say, are formatted, and answer their example inputs."""

from pathlib import Path

import pytest

from ztag_extauthz.cli.policy.common import parse_input, sources
from ztag_extauthz.cli.policy.layout import find
from ztag_extauthz.cli.policy.runner import Outcome, PolicyTest, Runner
from ztag_extauthz.cli.policy.strict import unused
from ztag_extauthz.rego.engine import compile_policy

FOLDER = Path(__file__).parents[2] / "policy"
MODULES, DATA = sources([str(FOLDER)], tests=True)
RUNNER = Runner(MODULES, DATA, "")
ANSWERS = {
    "abac/refusals": frozenset({"secrets need a second factor"}),
    "claims/result": {"allowed": True, "headers": {"x-tenant": "acme"}},
    "labels/deny": frozenset({'container "web" has no pinned image'}),
    "mcp/result": {"allowed": True, "dynamic_metadata": {"rule": "tool", "tool": "publish"}},
    "rbac/allow": True,
    "roles/result": {"allowed": True, "headers": {"x-roles": "editor,viewer"}},
    "routes/result": {"allowed": True, "dynamic_metadata": {"routes": ["/v1/reports/**"]}},
    "salaries/allow": True,
    "sandbox/result": {"allowed": True, "headers": {"x-current-user": "OPA"}},
    "services/result": {"allowed": True, "dynamic_metadata": {"rule": "orders-read-users"}},
    "tenancy/allow": True,
    "tiers/tier": "team",
}


@pytest.mark.parametrize("test", RUNNER.tests, ids=lambda test: test.name)
def test_policy(test: PolicyTest) -> None:
    result = RUNNER.run(test)
    assert result.outcome is Outcome.PASS, str(RUNNER.explain(test))


def test_there_are_tests_of_each() -> None:
    assert len(RUNNER.tests) >= 100
    folders = {Path(test.file).parent.name for test in RUNNER.tests}
    assert folders == {folder.name for folder in FOLDER.iterdir() if folder.is_dir()}


def test_every_line_is_reached() -> None:
    assert {file: lines.missed for file, lines in RUNNER.coverage().items() if lines.missed} == {}


def test_nothing_is_unused() -> None:
    assert list(unused(MODULES)) == []


def test_all_are_formatted() -> None:
    assert [found for file, text in MODULES.items() for found in find(file, text)] == []


@pytest.mark.parametrize("decision", ANSWERS)
def test_an_example_input_has_its_answer(decision: str) -> None:
    document = parse_input((FOLDER / decision.partition("/")[0] / "input.json").read_text())
    policy = compile_policy(MODULES, DATA, entry_points=[decision])
    assert policy.decision(decision).evaluate(document) == ANSWERS[decision]
