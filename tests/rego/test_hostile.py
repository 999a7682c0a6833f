"""Policies and inputs that mean harm: each is refused, or ends with an answer or a limit in a bounded time."""

import re
from time import monotonic
from typing import Any

import pytest

from ztag_extauthz.rego.documents import dumps
from ztag_extauthz.rego.engine import EvaluationError, LimitError, PolicyError, compile_policy
from ztag_extauthz.rego.values import Value

HEAD = "package t\n"


def lines(form: str, count: int) -> str:
    return "\n".join(form.format(i, i + 1) for i in range(count))


LARGE: dict[str, tuple[str, Value, Any]] = {
    "tests": ("p if {\n" + lines("input.x{0} == {0}", 2_000) + "\n}", {f"x{i}": i for i in range(2_000)}, True),
    "negations": ("p if {\n" + lines("not input.x{0}", 2_000) + "\n}", {}, True),
    "assignments": ("p := x1999 if {\nx0 := 1\n" + lines("x{1} := x{0} + 1", 1_999) + "\n}", {}, 2_000),
    "in reverse": ("p := x0 if {\n" + lines("x{0} = x{1} + 1", 1_999) + "\nx1999 = 1\n}", {}, 2_000),
    "loops": ("p if {\n" + lines("some x{0} in input.xs", 2_000) + "\nx0 == x1999\n}", {"xs": [1]}, True),
    "comprehensions": ("p := x9 if {\n" + lines("x{0} := [y | some y in input.xs]", 2_000) + "\n}", {"xs": [1]}, [1]),
    "rules": (lines("p contains {0} if input.x == {0}", 10_000), {"x": 7}, None),
    "keys": ("p := {" + ", ".join(f'"k{i}": {i}' for i in range(10_000)) + "}.k7", {}, 7),
}


@pytest.mark.timeout(60)  # a second or two on two cores
@pytest.mark.parametrize("name", LARGE)
def test_large_policies_load_and_answer(name: str) -> None:
    module, document, wanted = LARGE[name]
    policy = compile_policy({"t.rego": HEAD + module}, entry_points=["t/p"])
    value = policy.decision("t/p").evaluate(document)
    assert wanted is None or value == wanted


ENDLESS = {
    "loops": "p if {\n" + lines("some x{0} in numbers.range(1, 9)", 30) + "\nx0 == 10\n}",
    "functions": "f0(x) := x\n" + lines("f{1}(x) := f{0}(x) + f{0}(x)", 60) + "\np := f60(1)",
    "ranges": "p := count([1 | some x in numbers.range(1, 9000); some y in numbers.range(1, 9000); x == -y])",
    "with": "p := count([1 | some x in numbers.range(1, 900000); q with input.a as x])\nq if input.a > 5",
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ENDLESS)
def test_the_deadline_ends_what_does_not_end(name: str) -> None:
    decision = compile_policy({"t.rego": HEAD + ENDLESS[name]}, entry_points=["t/p"]).decision("t/p")
    with pytest.raises(LimitError, match="deadline"):
        decision.evaluate({}, deadline=monotonic() + 0.05)


@pytest.mark.parametrize(
    "module",
    [
        "a0 := [1, 2]\n" + lines("a{1} := array.concat(a{0}, a{0})", 40) + "\np := count(a40)",
        "p := count(numbers.range(1, 1000000000))",
        "p if r0\n" + lines("r{0} if r{1}", 5_000) + "\nr5000 := true",
    ],
)
def test_what_grows_too_large_or_deep_is_an_error(module: str) -> None:
    decision = compile_policy({"t.rego": HEAD + module}, entry_points=["t/p"]).decision("t/p")
    with pytest.raises(EvaluationError):
        decision.evaluate({})


@pytest.mark.parametrize(
    "module", ["p := " + "(" * 9_999 + "1" + ")" * 9_999, "p := " + "+".join("1" * 9_999), "p := " + "[" * 9_999]
)
def test_what_is_nested_too_deeply_is_refused(module: str) -> None:
    with pytest.raises(PolicyError, match="nested too deeply"):
        compile_policy({"t.rego": HEAD + module}, entry_points=["t/p"])


def test_deep_and_large_inputs() -> None:
    decision = compile_policy({"t.rego": HEAD + "p if input.a == input.b"}, entry_points=["t/p"]).decision("t/p")
    deep: Value = {}
    for _ in range(100_000):
        deep = {"a": deep}
    with pytest.raises(LimitError):
        decision.evaluate({"a": deep, "b": {"a": deep["a"]}})
    large = {"a": ["x" * 100] * 10_000, "b": ["x" * 100] * 10_000}
    assert decision.evaluate(large) is True


SHAPES = [
    "__import__('os').system('touch /tmp/owned')", "');raise SystemExit#", '"); import os; ("', "\\'\\n\\nimport os",
    "\n    import os\n", "{__builtins__}", "%s%n", "{0.__class__}", "f'{1}'", "''' + x + '''", '""" + x + """',
    "s.context", "U", "P", "None", "True", "lambda: 0", "__class__", "__globals__", "exec", "eval", "globals()",
    "\x00", "\x1b[2J", "\u2028import os", "\ud7ff", "\u202e", "é" * 50, "#", "\\", "\\\\'", "'" * 9, '"' * 9, "`", "$",
    "\r\n",
]  # fmt: skip


@pytest.mark.parametrize("text", SHAPES, ids=range(len(SHAPES)))
def test_no_text_of_a_policy_becomes_python(text: str) -> None:
    quoted = dumps(text, escape_html=False)
    module = f"""package t
p contains {quoted}
q[{quoted}] := {quoted} if input[{quoted}] == {quoted}
r := {{{quoted}: x | some x in [{quoted}]}}
f({quoted}) := {quoted}
g := x if x := f({quoted}) with input[{quoted}] as {quoted}
h if not startswith({quoted}, input.x)
i := sprintf({quoted}, [1])
j := data[{quoted}]
"""
    policy = compile_policy({f"{text}.rego": module}, {text: 1}, entry_points=["t"])
    value = policy.decision("t").evaluate({text: text})
    assert value["p"] == frozenset([text])
    assert value["q"] == {text: text}
    assert value["g"] == text
    assert value["j"] == 1
    assert policy.source().isascii()
    source = policy._linked.source  # what is run; the listing has comments as well
    assert not re.search(r"""['"\\#]""", source)
    if len(text) > 6:
        assert text not in source


@pytest.mark.parametrize(
    "name", ["s", "U", "key", "import_", "__builtins__", "v1", "class", "lambda", "None", "self", "rule_1"]
)
def test_names_of_a_policy_are_no_names_of_python(name: str) -> None:
    module = f"package {name}\n{name}({name}) := {name}\np := {name}(1)\nq := [{name} | some {name} in [2]]"
    value = compile_policy({"t.rego": module}, entry_points=[name]).decision(name).evaluate({})
    assert value == {"p": 1, "q": [2]}
