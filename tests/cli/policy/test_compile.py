"""`ztag policy compile`: the Python of a decision."""

import ast
from collections.abc import Callable

import pytest
from typer.testing import Result

from tests.cli.policy.conftest import Write


def test_it_prints_python(run: Callable[..., Result], write: Write) -> None:
    file = write("p.rego", 'package p\n\nallow if input.user == "ann"\n')
    result = run("policy", "compile", file, "--decision", "p/allow")
    assert result.exit_code == 0
    names = {node.name for node in ast.parse(result.stdout).body if isinstance(node, ast.FunctionDef)}
    assert names == {"entry_1", "body_2", "rule_0"}


def test_nothing_of_the_policy_s_text_is_code(run: Callable[..., Result], write: Write) -> None:
    file = write("p.rego", 'package p\n\nallow if input.user == "__import__"\n')
    result = run("policy", "compile", file, "--decision", "p/allow")
    assert "__import__" not in ast.dump(ast.parse(result.stdout))


def test_lines_may_be_numbered(run: Callable[..., Result], write: Write) -> None:
    result = run("policy", "compile", write("p.rego", "package p\n\nx := 1\n"), "--decision", "p/x", "--numbers")
    assert result.stdout.splitlines()[0].split()[:3] == ["1", "def", "entry_1(s):"]


def test_an_unknown_decision_is_refused(run: Callable[..., Result], write: Write) -> None:
    result = run("policy", "compile", write("p.rego", "package p\n\nx := 1\n"), "--decision", "p/y")
    assert result.exit_code == 2
    assert "decision p/y: no rule defines it (rules: p/x)" in result.stderr


def test_highlighted_on_a_terminal(run: Callable[..., Result], write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    result = run("policy", "compile", write("p.rego", "package p\n\nx := 1\n"), "--decision", "p/x")
    assert "\x1b[" in result.stdout
    assert "entry_1" in result.stdout
