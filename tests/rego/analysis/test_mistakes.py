"""What OPA refuses to compile is refused in its words, all of it at once."""

import pytest

from ztag_extauthz.rego.engine import PolicyError, compile_policy

WRONG = [
    ("p if x == 1", "rego_unsafe_var_error", "var x is unsafe"),
    ("p if not x", "rego_unsafe_var_error", "var x is unsafe"),
    ("p := x", "rego_unsafe_var_error", "var x is unsafe"),
    ("p := [x | y := 1]", "rego_unsafe_var_error", "var x is unsafe"),
    ("p if { x := y; y := x }", "rego_compile_error", "var y referenced above"),
    ("p if { y = x; x := 1 }", "rego_compile_error", "var x referenced above"),
    ("p if { x := 1; x := 2 }", "rego_compile_error", "var x assigned above"),
    ("p if { some x; x := 2 }", "rego_compile_error", "var x declared above"),
    ("f(x) := 1 if x := 2", "rego_compile_error", "arg x redeclared"),
    ("p if { some x; input.y }", "rego_compile_error", "declared var x unused"),
    ("p if every x in [1] { true }", "rego_compile_error", "declared var x unused"),
    ("p if not x := 1", "rego_compile_error", "cannot assign vars inside negated expression"),
    ("p if 1 := 1", "rego_compile_error", "cannot assign to number"),
    ("p if nope(1)", "rego_type_error", "undefined function nope"),
    ("p if data.x.nope(1)", "rego_type_error", "undefined function data.x.nope"),
    ("p := count(1, 2, 3)", "rego_type_error", "function count has arity 1, got 3 arguments"),
    ("f(x) := x\np := f(1, 2)", "rego_type_error", "function data.t.f has arity 1, got 2 arguments"),
    ("p := 1\np contains 2", "rego_type_error", "conflicting rules data.t.p found"),
    ("p := 1\np(x) := x", "rego_type_error", "conflicting rules data.t.p found"),
    ("f(x) := 1\nf(x, y) := 2", "rego_type_error", "conflicting rules data.t.f found"),
    ("default p := 1\ndefault p := 2", "rego_type_error", "multiple default rules data.t.p found"),
    ("p := 1\np.q := 2", "rego_type_error", "rule data.t.p conflicts with"),
    ("p if q\nq if p", "rego_recursion_error", "rule data.t.p is recursive: data.t.p -> data.t.q -> data.t.p"),
    ("p if data.t[x]", "rego_recursion_error", "rule data.t.p is recursive"),
    ("f(x) := g(x)\ng(x) := f(x)", "rego_recursion_error", "rule data.t.f is recursive"),
    ("p if input.x with nope as 1", "rego_type_error", "with keyword target must reference existing input"),
    ("p if eq(1, 1) with eq as 1", "rego_compile_error", "replacement of"),
    ("f(input) := 1", "rego_compile_error", "args must not shadow input"),
    ("default p := input.x", "rego_parse_error", "illegal default rule (value cannot contain ref)"),
    ("p := http.send({})", "rego_unsupported_error", "built-in function http.send is not supported"),
    ("p if 1 == true", "rego_type_error", "match error"),
    ("p if [true] == [1]", "rego_type_error", "match error"),
    ("p := upper(1)", "rego_type_error", "upper: invalid argument(s)"),
    ('q := "x"\np := q.y', "rego_type_error", "undefined ref: data.t.q.y"),
    ('f({"a": x}) := x\np := f({"b": 1})', "rego_type_error", "data.t.f: invalid argument(s)"),
    ("p := [10, 20][2]", "rego_type_error", "undefined ref"),
    ("p := any([true])", "rego_type_error", "deprecated built-in function calls in expression: any"),
    ("p if { input := 1; input == 1 }", "rego_compile_error", "variables must not shadow input"),
    ("x if data := 1", "rego_compile_error", "variables must not shadow data"),
    ("input := 1", "rego_compile_error", "rules must not shadow input (use a different rule name)"),
    ("data.x := 1", "rego_compile_error", "rules must not shadow data (use a different rule name)"),
    ("import data.a\nimport data.b as a", "rego_compile_error", "import must not shadow import data.a"),
    ("import data.a as input", "rego_parse_error", "unexpected import alias, must not be a reserved name, got: input"),
    ("f(x) := 1\np := f", "rego_type_error", "function data.t.f used as reference, not called"),
    ("f(x) := 1\nq := 2\np if q with q as f", "rego_type_error", "function data.t.f used as reference, not called"),
    ("f(x, y) := 1\np if count([]) with count as f", "rego_type_error", "count: arity mismatch"),
    ('p if count([], "a")', "rego_type_error", "count: invalid argument(s)"),
    ('f(x) := 1\np if f(1, "a")', "rego_type_error", "have: (number, string)"),
    ("f(x) := upper(x)\np := f(1)", "rego_type_error", "have: (number)\n\twant: (string)"),
    ('f([x, y]) := 1 if x == "a"\np := f([1, 2])', "rego_type_error", "data.t.f: invalid argument(s)"),
    ("p := rego.metadata.rule(1)", "rego_type_error", "rego.metadata.rule"),
    ("p if { print(y); y := 1 }", "rego_compile_error", "var y referenced above"),
    ("q contains 1\np := q.a", "rego_type_error", "undefined ref: data.t.q.a"),
    ('q[x] := 1 if some x in ["a"]\np := q.b.c', "rego_type_error", "undefined ref: data.t.q.b.c"),
    ('p if { some k, x in ["b"]; startswith(k, x) }', "rego_type_error", "startswith: invalid argument(s)"),
    ('p if { [x, y] := [1, "c"]; startswith(x, y) }', "rego_type_error", "startswith: invalid argument(s)"),
    ('p if { x := ["a"]; 1 in x }', "rego_type_error", "match error\n\tleft  : number\n\tright : string"),
    ("f(x) := data.t\np := 1", "rego_recursion_error", "rule data.t.f is recursive: data.t.f -> data.t.f"),
    ("p if some x in [x]", "rego_compile_error", "var x assigned before"),
    ("p if { x := 1; every k in array.concat([], [y]) { k != x }; y = 2 }", "rego_unsupported_error", "too early"),
    ("p if assign(x, 1)", "rego_unsupported_error", "built-in function assign is not supported"),
    ("p := opa.runtime()", "rego_unsupported_error", "built-in function opa.runtime is not supported"),
]


@pytest.mark.parametrize(("module", "code", "message"), WRONG, ids=[row[0] for row in WRONG])
def test_a_mistake_is_refused(module: str, code: str, message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        compile_policy({"t.rego": f"package t\n{module}"}, entry_points=["t"])
    assert any(mistake.code == code and message in mistake.message for mistake in caught.value.mistakes), caught.value


@pytest.mark.parametrize(
    ("module", "remedy"),
    [
        ("p if assign(x, 1)", "write x := y"),
        ("p := eq(1, 1)", "write x = y"),
        ("p := http.send({})", "name the hosts that it may ask"),
        ("p := opa.runtime()", "leave it out, or give what it would answer as data or input"),
    ],
)
def test_the_remedy_says_what_to_write_instead(module: str, remedy: str) -> None:
    with pytest.raises(PolicyError) as caught:
        compile_policy({"t.rego": f"package t\n{module}"}, entry_points=["t/p"])
    assert [mistake.remedy for mistake in caught.value.mistakes] == [remedy]


def test_all_mistakes_are_told_with_file_line_and_source() -> None:
    modules = {"a.rego": "package a\np if x", "b.rego": "package b\np if y == 1\n\nq := nope(1)"}
    with pytest.raises(PolicyError) as caught:
        compile_policy(modules)
    shown = [(mistake.file, mistake.line, mistake.source) for mistake in caught.value.mistakes]
    assert shown == [("a.rego", 2, "p if x"), ("b.rego", 2, "p if y == 1"), ("b.rego", 4, "q := nope(1)")]


def test_data_in_the_way_of_a_rule_is_refused() -> None:
    for data in ({"t": {"p": 1}}, {"t": 1}):
        with pytest.raises(PolicyError, match="conflicting rule for data path t/p found"):
            compile_policy({"t.rego": "package t\np := 2"}, data)
    policy = compile_policy({"t.rego": "package t\np := 2"}, {}, entry_points=["t/p"])
    with pytest.raises(PolicyError):
        policy.relink({"t": {"p": 1}})


@pytest.mark.parametrize(
    "module",
    [
        'p if input.x == true\nq if input.x == "a"',
        "p if 1 == 1.0",
        "q := 1 if input.x\nq := true if input.y\np if q == 1",
        'p := x if some x in [1, true, "a"]',
        'p := object.get({}, "a", 1)',
        'p := json.marshal_with_options({}, {"pretty": true})',
        'p := count({}) + count([]) + count(set()) + count("")',
        "p := [] == [x | some x in input.l]",
        'p := concat(",", [x | some x in input.l])',
        'p := x if x := http.send({}).y with http.send as {"y": 1}',
    ],
)
def test_what_may_hold_is_accepted(module: str) -> None:
    compile_policy({"t.rego": f"package t\n{module}"}, entry_points=["t"])


@pytest.mark.parametrize(
    ("entry_point", "remedy"),
    [("t/alow", "did you mean t/allow?"), ("nope", "rules: t/allow"), ("t/f", "rules: t/allow")],
)
def test_an_entry_point_has_to_name_a_rule(entry_point: str, remedy: str) -> None:
    with pytest.raises(PolicyError, match="no rule defines") as raised:
        compile_policy({"t.rego": "package t\nallow := true\nf(x) := x"}, entry_points=[entry_point])
    assert raised.value.mistakes[0].remedy == remedy
