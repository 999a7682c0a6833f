"""`ztag policy eval`: results on stdout, reasons on stderr, honest exit codes."""

import json
import re
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
    assert "rules: p/" in result.stderr


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


def test_explain_tells_what_was_tried(evaluate: Callable[..., Result]) -> None:
    result = evaluate("p/allowed", '{"user": "bob"}', "--explain")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert 'failed at line 4: allowed if input.user == "ann"   with "bob"' in result.stderr
    assert "value: undefined" in result.stderr


def test_explain_leaves_the_answer_alone(evaluate: Callable[..., Result]) -> None:
    result = evaluate("p/allowed", '{"user": "ann"}', "--explain")
    assert (result.exit_code, result.stdout) == (0, "true\n")


def test_a_built_in_s_error_is_undefined(evaluate: Callable[..., Result]) -> None:
    assert evaluate("p/broken", '{"zero": 0}').exit_code == 1


def test_and_an_error_where_errors_are_strict(evaluate: Callable[..., Result]) -> None:
    result = evaluate("p/broken", '{"zero": 0}', "--strict")
    assert result.exit_code == 2
    assert "divide by zero" in result.stderr


def test_data_may_stand_beside(run: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "p.rego").write_text("package p\n\nx := data.limits.x\n")
    (tmp_path / "limits.yaml").write_text("limits: {x: 3}")
    policies = ("--policies", str(tmp_path / "p.rego"), "--data", str(tmp_path / "limits.yaml"))
    result = run("policy", "eval", *policies, "--decision", "p/x", "--input", "-", stdin="{}")
    assert (result.exit_code, result.stdout) == (0, "3\n")


def test_a_mistake_is_shown_with_a_caret(run: Callable[..., Result], tmp_path: Path) -> None:
    policy = tmp_path / "bad.rego"
    policy.write_text("package p\n\nx := nope(1)\n")
    result = run("policy", "eval", "--policies", str(policy), "--decision", "p/x", "--input", "-", stdin="{}")
    assert result.exit_code == 2
    assert result.stderr == f"{policy}:3:6: rego_type_error: undefined function nope\n    x := nope(1)\n         ^\n"


def test_an_explanation_goes_through_sets_in_their_order(run: Callable[..., Result], tmp_path: Path) -> None:
    """What is printed today is printed tomorrow, though Python's own order of strings changes."""
    policy = tmp_path / "p.rego"
    members = 's := {sprintf("%d", [n]) | some n in numbers.range(10, 40)}'
    policy.write_text(f'package p\n\n{members}\n\nx if {{\n\tsome n in s\n\tn == "x"\n}}\n')
    asked = ("--policies", str(policy), "--decision", "p/x", "--input", "-", "--explain")
    tried = re.findall(r'with "(\d+)"', run("policy", "eval", *asked, stdin="{}").stderr)
    assert tried == [str(number) for number in range(10, 41)]


@pytest.mark.parametrize("option", ["--policies", "--policy"])
def test_policies_are_named_as_in_the_other_commands(run: Callable[..., Result], tmp_path: Path, option: str) -> None:
    (tmp_path / "p.rego").write_text(POLICY)
    result = run("policy", "eval", option, str(tmp_path), "--decision", "p/whole", "--input", "-", stdin="{}")
    assert (result.exit_code, result.stdout) == (0, "{}\n")
