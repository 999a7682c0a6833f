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
        "  cache  yes, for 60 s\n"
        "p/now\n"
        "  impure time.now_ns\n"
        "  cache  no: time.now_ns may answer differently each time\n"
        "p/whole\n"
        "  input  input\n"
        "  cache  no: it reads the whole input, which no two requests have in common\n"
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
            "ttl": 60.0,
        }
    }


@pytest.mark.parametrize(
    ("annotation", "told"),
    [
        ("# METADATA\n# custom:\n#   ztag:\n#     ttl: 5s\n", "yes, for 5 s"),
        ("# METADATA\n# scope: document\n# custom: {ztag: {ttl: 500ms}}\n", "yes, for 0.5 s"),
        ("# METADATA\n# custom: {ztag: {ttl: 2h}}\n", "yes, for 60 s"),
        ("# METADATA\n# custom: {ztag: {ttl: 0s}}\n", "no: a rule says so: its ttl is 0s"),
        ("# METADATA\n# custom: {other: {ttl: 5s}}\n", "yes, for 60 s"),
    ],
)
def test_a_rule_may_state_a_shorter_life(run: Callable[..., Result], write: Write, annotation: str, told: str) -> None:
    text = f"package p\n\nallow if fresh\n\n{annotation}fresh if input.user == data.owner\n\nother if input.user\n"
    policy = write("p.rego", text)
    assert f"  cache  {told}\n" in run("policy", "reads", policy, "--decision", "p/allow").stdout
    assert "  cache  yes, for 60 s\n" in run("policy", "reads", policy, "--decision", "p/other").stdout


@pytest.mark.parametrize("ttl", ["5", "soon", "-1s", "[]", "5 s"])
def test_a_life_that_is_none_is_told_with_its_place(run: Callable[..., Result], write: Write, ttl: str) -> None:
    policy = write("p.rego", f"package p\n\n# METADATA\n# custom: {{ztag: {{ttl: {ttl}}}}}\nallow if input.user\n")
    result = run("policy", "reads", policy)
    assert result.exit_code == 2
    assert "p.rego:5: custom.ztag.ttl is no duration (write it like `5s`" in result.stderr


def test_a_misspelt_name_of_an_annotation_is_no_silence(run: Callable[..., Result], write: Write) -> None:
    policy = write("p.rego", "package p\n\n# METADATA\n# custom: {ztag: {tll: 5s}}\nallow if input.user\n")
    result = run("policy", "reads", policy)
    assert result.exit_code == 2
    assert "p.rego:5: custom.ztag has no tll (it has ttl: 5s alone)" in result.stderr


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
