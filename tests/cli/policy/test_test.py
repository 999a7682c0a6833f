"""`ztag policy test`: passes what is true, explains what is not, counts lines."""

import json
from collections.abc import Callable

import pytest
from typer.testing import Result

from tests.cli.policy.conftest import Write
from ztag_extauthz.cli.policy.test import ranges

POLICY = """package p

allow if {
	input.user == "ann"
	input.admin
}

names := [name |
	some name in input.names
	name != "x"
]

unasked if {
	input.a
	input.b
}
"""
TESTS = """package p_test

import data.p

test_ann if p.allow with input as {"user": "ann", "admin": true}

test_names if p.names == ["a"] with input as {"names": ["a", "x"]}
"""


@pytest.fixture
def folder(write: Write) -> str:
    write("all/p.rego", POLICY)
    write("all/p_test.rego", TESTS)
    return "all"


def test_all_pass(run: Callable[..., Result], folder: str) -> None:
    result = run("policy", "test", folder)
    assert result.exit_code == 0
    assert result.stdout.startswith("2 pass of 2 in ")


def test_verbose_names_each(run: Callable[..., Result], folder: str) -> None:
    lines = run("policy", "test", "-v", folder).stdout.splitlines()
    assert lines[0].startswith("pass data.p_test.test_ann (")
    assert lines[0].endswith("all/p_test.rego:5")
    assert len(lines) == 3


def test_a_failure_is_explained(run: Callable[..., Result], folder: str, write: Write) -> None:
    write("all/q_test.rego", 'package q_test\n\ntest_bob if data.p.allow with input as {"user": "bob"}\n')
    result = run("policy", "test", folder)
    assert result.exit_code == 1
    assert "fail data.q_test.test_bob (" in result.stdout
    assert 'failed at line 4: input.user == "ann"   with "bob"' in result.stdout
    assert "1 fail, 2 pass of 3 in " in result.stdout


@pytest.mark.parametrize(
    "rule", ["test_x := false", "test_x := 1", 'test_x := {"a": true}', "test_x contains 1", "test_x if false"]
)
def test_only_true_passes(run: Callable[..., Result], write: Write, rule: str) -> None:
    assert run("policy", "test", write("p_test.rego", f"package p_test\n\n{rule}\n")).exit_code == 1


def test_test_cases_in_one_rule_do_not_pass_unseen(run: Callable[..., Result], write: Write) -> None:
    text = 'package p_test\n\ntest_x[case] if {\n\tsome case in ["a", "b"]\n\tcase == "a"\n}\n'
    result = run("policy", "test", write("p_test.rego", text))
    assert result.exit_code == 2
    assert "has cases (test_x[case]): write each as a rule of its own" in result.stdout


def test_an_error_weighs_more_than_a_failure(run: Callable[..., Result], write: Write) -> None:
    text = "package p_test\n\ntest_a := false\n\ntest_b := x\n\nx := 1\n\nx := 2\n"
    result = run("policy", "test", write("p_test.rego", text))
    assert result.exit_code == 2
    assert "error data.p_test.test_b" in result.stdout
    assert "eval_conflict_error" in result.stdout


def test_todo_is_skipped(run: Callable[..., Result], write: Write) -> None:
    result = run("policy", "test", "-v", write("p_test.rego", "package p_test\n\ntodo_test_x := false\n"))
    assert result.exit_code == 0
    assert "skipped data.p_test.todo_test_x" in result.stdout


def test_run_chooses(run: Callable[..., Result], folder: str) -> None:
    result = run("policy", "test", "--run", "p_test.test_n", folder)
    assert result.stdout.startswith("1 pass of 1 in ")


def test_nothing_to_run_is_no_success(run: Callable[..., Result], folder: str) -> None:
    result = run("policy", "test", "--run", "nothing", folder)
    assert result.exit_code == 2
    assert "no tests" in result.stdout


def test_a_bad_pattern_is_told(run: Callable[..., Result], folder: str) -> None:
    result = run("policy", "test", "--run", "(", folder)
    assert result.exit_code == 2
    assert "--run (" in result.stderr


def test_a_policy_that_does_not_load_is_told(run: Callable[..., Result], write: Write) -> None:
    result = run("policy", "test", write("p_test.rego", "package p_test\n\ntest_x if nope(1)\n"))
    assert result.exit_code == 2
    assert "rego_type_error: undefined function nope" in result.stderr


def test_coverage_counts_lines(run: Callable[..., Result], folder: str) -> None:
    result = run("policy", "test", "--coverage", folder)
    assert " 66.7 %  all/p.rego       not reached: 13-15\n" in result.stdout
    assert "100.0 %  all/p_test.rego\n" in result.stdout


def test_json_has_tests_and_coverage(run: Callable[..., Result], folder: str) -> None:
    found = json.loads(run("policy", "test", "--coverage", "--json", folder).stdout)
    assert [(test["name"], test["line"], test["outcome"]) for test in found["tests"]] == [
        ("data.p_test.test_ann", 5, "pass"),
        ("data.p_test.test_names", 7, "pass"),
    ]
    assert found["coverage"]["all/p.rego"] == {
        "percent": 66.7,
        "covered": [3, 4, 5, 8, 9, 10],
        "missed": [13, 14, 15],
    }


def test_tests_are_not_explained_in_json(run: Callable[..., Result], write: Write) -> None:
    result = run("policy", "test", "--json", write("p_test.rego", "package p_test\n\ntest_x := 1\n"))
    assert json.loads(result.stdout)["tests"][0]["detail"] == "is 1, not true"


@pytest.mark.parametrize(("lines", "text"), [([], ""), ([3], "3"), ([3, 4, 5, 9], "3-5, 9"), ([1, 3, 5], "1, 3, 5")])
def test_ranges(lines: list[int], text: str) -> None:
    assert ranges(lines) == text
