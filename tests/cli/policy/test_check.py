"""`ztag policy check`: every mistake with its place, in OPA's words."""

import json
from collections.abc import Callable

import pytest
from typer.testing import Result

from tests.cli.policy.conftest import Write

BAD = "package p\n\nx := nope(1)\n\ny if {\n\tinput.a\n\tz > 1\n}\n"


def test_a_policy_without_mistakes_is_ok(run: Callable[..., Result], write: Write) -> None:
    result = run("policy", "check", write("p.rego", "package p\n\nx := 1\n"))
    assert (result.exit_code, result.stdout, result.stderr) == (0, "ok: 1 file\n", "")


def test_every_mistake_has_a_line_and_a_caret(run: Callable[..., Result], write: Write) -> None:
    result = run("policy", "check", write("p.rego", BAD))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == (
        "p.rego:3:6: rego_type_error: undefined function nope\n"
        "    x := nope(1)\n"
        "         ^\n"
        "p.rego:7:2: rego_unsafe_var_error: var z is unsafe\n"
        "        z > 1\n"
        "        ^\n"
        "2 mistakes\n"
    )


def test_types_are_told_on_lines_of_their_own(run: Callable[..., Result], write: Write) -> None:
    result = run("policy", "check", write("p.rego", "package p\n\nx := upper(1)\n"))
    assert result.stderr == (
        "p.rego:3:6: rego_type_error: upper: invalid argument(s)\n"
        "    have: (number)\n"
        "    want: (string)\n"
        "    x := upper(1)\n"
        "         ^\n"
        "1 mistake\n"
    )


def test_json_holds_all_of_it(run: Callable[..., Result], write: Write) -> None:
    result = run("policy", "check", "--json", write("p.rego", BAD))
    assert result.exit_code == 2
    mistakes = json.loads(result.stdout)["mistakes"]
    assert [(each["line"], each["code"]) for each in mistakes] == [(3, "rego_type_error"), (7, "rego_unsafe_var_error")]
    assert mistakes[0]["source"] == "x := nope(1)"


def test_json_of_no_mistakes(run: Callable[..., Result], write: Write) -> None:
    result = run("policy", "check", "--json", write("p.rego", "package p\n"))
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"mistakes": []})


def test_a_refused_built_in_comes_with_a_remedy(run: Callable[..., Result], write: Write) -> None:
    result = run("policy", "check", write("p.rego", "package p\n\nx := opa.runtime()\n"))
    assert result.exit_code == 2
    assert "built-in function opa.runtime is not supported" in result.stderr
    assert result.stderr.splitlines()[-2].strip() == "leave it out, or give what it would answer as data or input"


def test_tests_are_looked_at_too(run: Callable[..., Result], write: Write) -> None:
    write("policies/p.rego", "package p\n\nx := 1\n")
    write("policies/p_test.rego", "package p_test\n\ntest_x if nope(1)\n")
    result = run("policy", "check", "policies")
    assert result.exit_code == 2
    assert "policies/p_test.rego:3:11: rego_type_error" in result.stderr


def test_data_that_is_in_the_way(run: Callable[..., Result], write: Write) -> None:
    result = run("policy", "check", write("p.rego", "package p\n\nx := 1\n"), write("d.json", '{"p": {"x": 2}}'))
    assert result.exit_code == 2
    assert "conflicting rule for data path p/x found" in result.stderr


def test_data_that_cannot_be_read(run: Callable[..., Result], write: Write) -> None:
    paths = (write("p.rego", "package p\n"), write("d.json", "{"))
    result = run("policy", "check", "--json", *paths)
    assert result.exit_code == 2
    assert json.loads(result.stdout)["mistakes"][0]["file"].startswith("d.json:1:")


def test_mistakes_of_data_do_not_hide_those_of_policies(run: Callable[..., Result], write: Write) -> None:
    result = run("policy", "check", write("p.rego", BAD), write("d.json", "{"))
    assert result.exit_code == 2
    assert [line.split(": ")[0] for line in result.stderr.splitlines() if line[0] in "dp"] == [
        "d.json:1:2",
        "p.rego:3:6",
        "p.rego:7:2",
    ]


def test_a_missing_file_hides_no_mistake_of_grammar_and_makes_none(run: Callable[..., Result], write: Write) -> None:
    paths = (write("a.rego", "package a\n\nx := data.lib.f(1)\n"), write("b.rego", "package b\n\nx := {\n"))
    result = run("policy", "check", "--json", *paths, "lib.rego")
    assert [each["code"] for each in json.loads(result.stdout)["mistakes"]] == ["rego_load_error", "rego_parse_error"]


@pytest.mark.parametrize(("life", "message"), [("5", "custom.ztag.ttl is no duration"), ("5s", "")])
def test_strict_reads_the_lives_of_answers(run: Callable[..., Result], write: Write, life: str, message: str) -> None:
    file = write("p.rego", f"package p\n\n# METADATA\n# custom:\n#   ztag: {{ttl: {life}}}\nx := 1\n")
    assert run("policy", "check", file).exit_code == 0
    result = run("policy", "check", "--strict", file)
    assert (result.exit_code, message in result.stderr) == (2 if message else 0, True)
    assert ("p.rego:6:" in result.stderr) == bool(message)


def test_no_file_at_all(run: Callable[..., Result], write: Write) -> None:
    write("p.rego", "")
    result = run("policy", "check", "nothing.rego")
    assert result.exit_code == 2
    assert "nothing.rego: rego_load_error: cannot be read" in result.stderr


def test_a_terminal_s_controls_are_not_passed_on(run: Callable[..., Result], write: Write) -> None:
    result = run("policy", "check", write("p.rego", "package p\n\nx := nope(1) # \x1b[2J\n"))
    assert "\x1b" not in result.stderr


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("import data.a", "import data.a unused"),
        ("import data.a as b", "import data.a as b unused"),
        ("f([y, _]) := 1", "unused argument y. (hint: use _ (wildcard variable) instead)"),
        ("x := 1 if y := 2", "assigned var y unused"),
        ("f(y) := 1", "unused argument y. (hint: use _ (wildcard variable) instead)"),
        ("x := [1 | y := 2]", "assigned var y unused"),
        ("x if every a in [1] { b := a }", "assigned var b unused"),
    ],
)
def test_strict_finds_what_is_unused(run: Callable[..., Result], write: Write, line: str, message: str) -> None:
    file = write("p.rego", f"package p\n\n{line}\n")
    assert run("policy", "check", file).exit_code == 0
    result = run("policy", "check", "--strict", file)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    "line",
    [
        "import data.a\n\nx := a.b",
        "import data.a\n\nx := a.f(1)\n",
        "x := y if y := 2",
        "f(y) := y",
        "f(_) := 1",
        "f(y) := 1 if y == 1",
        "x := [y | y := 2]",
        "x if every a in [1] { b := a; b == 1 }",
        "f(y) := 1 if false\nelse := y",
    ],
)
def test_strict_knows_what_is_used(run: Callable[..., Result], write: Write, line: str) -> None:
    lib = write("a.rego", "package a\n\nb := 1\n\nf(x) := x\n")
    assert run("policy", "check", "--strict", write("p.rego", f"package p\n\n{line}\n"), lib).exit_code == 0


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ('result := {"allow": true}', "the decision has no `allowed`"),
        ('result := {"allow": true}', "did you mean allowed?"),
        (
            'default result := {"allowed": false}\n\nresult := {"allowed": true, "header": {}} if input.a',
            "mean headers?",
        ),
        ('result := "yes"', "neither a boolean nor an object"),
        ("result if input.a", "undefined where no rule holds"),
        ('result := {"allowed": true} if input.a', "undefined where no rule holds"),
        ("result.allowed if input.a", "`allowed` is undefined where no rule holds"),
        ("result.allow := true", "the decision has no `allowed`"),
        ('result := false if input.a\nelse := {"ok": true}', "the decision has no `allowed`"),
    ],
)
def test_strict_finds_a_decision_that_is_an_error(
    run: Callable[..., Result], write: Write, rules: str, told: str
) -> None:
    file = write("p.rego", f"package envoy.authz\n\n{rules}\n")
    assert run("policy", "check", file).exit_code == 0
    result = run("policy", "check", "--strict", file)
    assert result.exit_code == 2
    assert told in result.stderr


@pytest.mark.parametrize(
    "rules",
    [
        "default result := false\n\nresult if input.a",
        "result if input.a\nelse := false",
        "result := true",
        "result := input.a == 1",
        "result := true if input.a\n\nresult := false if not input.a",
        'result := {"allowed": allowed, "reason": "none"}\n\nallowed := input.a == 1',
        'result := object.union({"a": 1}, {"allowed": true})',
        'result := {name: true | some name in ["allowed"]}',
        'result[name] := true if some name in ["allowed"]',
        'result.allowed := input.a == 1\n\nresult.headers["x-a"] := "b"',
        'result := {input.name: true, "b": 1}',
    ],
)
def test_strict_says_nothing_of_a_decision_that_may_be_right(
    run: Callable[..., Result], write: Write, rules: str
) -> None:
    result = run("policy", "check", "--strict", write("p.rego", f"package envoy.authz\n\n{rules}\n"))
    assert (result.exit_code, result.stderr) == (0, "")


def test_strict_asks_for_the_decision_that_is_named(run: Callable[..., Result], write: Write) -> None:
    file = write("p.rego", "package shop\n\ndefault allow := false\n\nallow if input.a\n")
    assert run("policy", "check", "--strict", file, "--decision", "shop/allow").exit_code == 0
    assert "name a rule of it: shop/allow" in run("policy", "check", "--strict", file, "--decision", "shop").stderr
    assert "no rule defines it" in run("policy", "check", "--strict", file, "--decision", "shop/alow").stderr
    data = write("data.json", '{"shop": {"allowed": true}}')
    assert run("policy", "check", "--strict", file, data, "--decision", "shop").exit_code == 0


def test_a_data_file_that_is_not_read_is_told(run: Callable[..., Result], write: Write) -> None:
    write("rules/p.rego", "package p\n\nx := data.owners[input.a]\n")
    write("rules/owners.json", "{}")
    write("rules/input.json", "{}")
    result = run("policy", "check", "rules")
    assert result.exit_code == 0
    assert result.stderr == ("warning: rules/owners.json is not read: call it data.json, or rules/owners/data.json\n")


def test_coloured_on_a_terminal(run: Callable[..., Result], write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    result = run("policy", "check", write("p.rego", BAD))
    assert "\x1b[31mrego_type_error\x1b[0m" in result.stderr
    assert "\x1b[1;31m^\x1b[0m" in result.stderr
