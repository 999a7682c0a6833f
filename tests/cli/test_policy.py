"""`ztag policy eval`: results on stdout, reasons on stderr, honest exit codes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

POLICY = """
package p

allowed if input.user == "ann"

names := {name | some name in input.names}

broken := 1 / input.zero

whole := input
"""


@pytest.fixture
def evaluate(run: Callable[..., Result], tmp_path: Path) -> Callable[..., Result]:
    policy = tmp_path / "p.rego"
    policy.write_text(POLICY)

    def ask(decision: str, stdin: str, *arguments: str) -> Result:
        options = ("--policies", str(policy), "--decision", decision, "--input", "-", *arguments)
        return run("policy", "eval", *options, stdin=stdin)

    return ask


def test_a_result_is_printed_as_json(evaluate: Callable[..., Result]) -> None:
    result = evaluate("p/allowed", '{"user": "ann"}')
    assert (result.exit_code, result.stdout, result.stderr) == (0, "true\n", "")


def test_undefined_exits_with_1(evaluate: Callable[..., Result]) -> None:
    result = evaluate("p/allowed", '{"user": "bob"}')
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "stdin: undefined\n")


def test_sets_are_sorted_lists(evaluate: Callable[..., Result]) -> None:
    assert json.loads(evaluate("p/names", '{"names": ["b", "a", "b"]}').stdout) == ["a", "b"]


def test_lines_are_documents(evaluate: Callable[..., Result]) -> None:
    result = evaluate("p/allowed", '{"user": "ann"}\n\n{"user": "bob"}\n{"user": "ann"}\n', "--lines")
    assert result.exit_code == 1
    assert result.stdout == "true\ntrue\n"
    assert result.stderr == "stdin:3: undefined\n"


@pytest.mark.parametrize("text", ["{", "[]", "1", ""])
def test_an_input_that_is_no_object_is_refused(evaluate: Callable[..., Result], text: str) -> None:
    result = evaluate("p/whole", text)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("stdin: ")


def test_refused_weighs_more_than_undefined(evaluate: Callable[..., Result]) -> None:
    assert evaluate("p/allowed", "{\n{}\n", "--lines").exit_code == 2


def test_an_unknown_decision_is_refused(evaluate: Callable[..., Result]) -> None:
    result = evaluate("p/nothing", "{}")
    assert result.exit_code == 2
    assert "packages: p" in result.stderr


def test_a_policy_that_does_not_parse_names_its_line(run: Callable[..., Result], tmp_path: Path) -> None:
    policy = tmp_path / "bad.rego"
    policy.write_text("package p\n\nallow if if\n")
    result = run("policy", "eval", "--policies", str(policy), "--decision", "p/allow", "--input", "-", stdin="{}")
    assert result.exit_code == 2
    assert "bad.rego:3" in result.stderr


def test_an_input_file_that_is_not_there_is_told(run: Callable[..., Result], tmp_path: Path) -> None:
    policy = tmp_path / "p.rego"
    policy.write_text(POLICY)
    result = run("policy", "eval", "--policies", str(policy), "--decision", "p/whole", "--input", str(tmp_path / "x"))
    assert result.exit_code == 2
    assert "No such file" in result.stderr


def test_exact_numbers_survive(evaluate: Callable[..., Result]) -> None:
    assert "9007199254740993" in evaluate("p/whole", '{"n": 9007199254740993}').stdout
