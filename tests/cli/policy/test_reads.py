"""`ztag policy reads`: what a decision depends on."""

import json
from collections.abc import Callable

import pytest
from typer.testing import Result

from tests.cli.policy.conftest import Write
from ztag_extauthz.cli.policy.reads import path_text

POLICY = """package p

allow if {
	input.user == "ann"
	data.roles[input.role]
}

now := time.now_ns()

whole := input

f(x) := x
"""


def test_each_rule_that_is_no_function(run: Callable[..., Result], write: Write) -> None:
    result = run("policy", "reads", write("p.rego", POLICY), write("d.json", '{"roles": {"a": true}}'))
    assert result.exit_code == 0
    assert result.stdout == (
        "p/allow\n"
        "  input  input.role, input.user\n"
        "  data   data.roles\n"
        "  cache  yes\n"
        "p/now\n"
        "  impure time.now_ns\n"
        "  cache  no: time.now_ns may answer differently each time\n"
        "p/whole\n"
        "  input  input\n"
        "  cache  no: it reads the whole input, so that hardly two requests are alike\n"
    )


def test_json(run: Callable[..., Result], write: Write) -> None:
    result = run("policy", "reads", write("p.rego", POLICY), "--json", "--decision", "p.allow")
    assert json.loads(result.stdout) == {
        "p/allow": {
            "input": ["input.role", "input.user"],
            "exists": [],
            "data": ["data.roles"],
            "impure": [],
            "cacheable": True,
            "why_not": "",
        }
    }


def test_an_unknown_decision_is_refused(run: Callable[..., Result], write: Write) -> None:
    result = run("policy", "reads", write("p.rego", POLICY), "--decision", "p/nothing")
    assert result.exit_code == 2
    assert "decision p/nothing: no rule defines it" in result.stderr


@pytest.mark.parametrize(
    ("path", "text"),
    [((), "input"), (("a", 0, "x-y"), 'input.a[0]["x-y"]'), (("é",), 'input["\\u00e9"]')],
)
def test_paths_are_written_as_rego(path: tuple[str | int, ...], text: str) -> None:
    assert path_text("input", path) == text
