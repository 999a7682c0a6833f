"""Rules found by what the input is have to answer as they would one after the other."""

from typing import Any

import pytest

from ztag_extauthz.rego.compile.index import choose
from ztag_extauthz.rego.engine import EvaluationError, compile_policy
from ztag_extauthz.rego.values import UNDEFINED, Number

FORMS = [
    'input.x == "k{i}"',
    '"k{i}" == input.x',
    'input.x = "k{i}"',
    'input.x in {{"k{i}", "other{i}"}}',
    '{{ x := input.x; x == "k{i}"; x != "" }}',
    'glob.match("k{i}", [], input.x)',
    'glob.match("k{i}*", ["/"], input.x)',
    'startswith(input.x, "k{i}")',
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("head", ["p := {i} if ", "p contains {i} if ", "p[{i}] := true if "])
def test_each_form_finds_its_rules(form: str, head: str) -> None:
    rules = [head.format(i=i) + form.format(i=i) for i in range(100, 140)]
    indexed = compile_policy({"t.rego": "package t\n" + "\n".join(rules)}, entry_points=["t/p"]).decision("t/p")
    for value in ("k100", "k139", "k1391", "nope", "", 7, None, True, ["k100"], {"k100": 1}):
        document = {"x": value}
        single = [
            compile_policy({"t.rego": f"package t\n{rule}"}, entry_points=["t/p"]).decision("t/p").evaluate(document)
            for rule in rules
        ]
        found = [item for item in single if item is not UNDEFINED and item not in (frozenset(), {})]
        got: Any = indexed.evaluate(document)
        if head.startswith("p :="):
            assert got == (found[0] if found else UNDEFINED)
        else:
            assert len(got) == len(found)
    assert indexed.evaluate({}) in (UNDEFINED, frozenset(), {})


def test_numbers_and_booleans_are_told_apart() -> None:
    values = ["0", "1", "2", "true", "false", "null", '"1"', "[1]", "1.5"]
    rules = "\n".join(f"p := {index} if input.x == {value}" for index, value in enumerate(values))
    decision = compile_policy({"t.rego": f"package t\n{rules}"}, entry_points=["t/p"]).decision("t/p")
    inputs = [0, 1, 2, True, False, None, "1", [1], Number("1.5")]
    assert [decision.evaluate({"x": value}) for value in inputs] == list(range(9))
    assert decision.evaluate({"x": Number("1.0")}) == 1


def test_functions_are_found_by_their_arguments() -> None:
    rules = "\n".join(f'f("k{i}", x) := x + {i}' for i in range(50)) + "\np := f(input.k, 1)"
    decision = compile_policy({"t.rego": f"package t\n{rules}"}, entry_points=["t/p"]).decision("t/p")
    assert decision.evaluate({"k": "k7"}) == 8
    assert decision.evaluate({"k": "k50"}) is UNDEFINED


def test_conflicts_are_found_among_what_the_index_finds() -> None:
    rules = "\n".join(f'p := {i} if input.x in ["k{i}", "k{i + 1}"]' for i in range(50))
    decision = compile_policy({"t.rego": f"package t\n{rules}"}, entry_points=["t/p"]).decision("t/p")
    assert decision.evaluate({"x": "k0"}) == 0
    with pytest.raises(EvaluationError, match="eval_conflict_error"):
        decision.evaluate({"x": "k5"})


def test_an_else_is_not_left_out() -> None:
    rules = "\n".join(f'p := {i} if input.x == "k{i}"' for i in range(20))
    module = f'package t\n{rules}\np := "a" if input.x == "z" else := "b" if input.y'
    decision = compile_policy({"t.rego": module}, entry_points=["t/p"]).decision("t/p")
    assert decision.evaluate({"x": "nope", "y": 1}) == "b"
    assert decision.evaluate({"x": "k3"}) == 3


def test_few_definitions_need_no_index() -> None:
    assert choose([]) == (None, [])


@pytest.mark.parametrize("first", ["input.x in {{'k{i}', 'z'}}", 'startswith(input.x, "k{i}")', 'input.x == ["k{i}"]'])
def test_an_error_before_the_test_is_found(first: str) -> None:
    """OPA evaluates what stands before a test that its index does not know."""
    test = first.replace("'", '"')
    rules = "\n".join("p if { c; " + test.format(i=i) + " }" for i in range(10))
    module = f"package t\nc := input.a\nc := input.b\n{rules}"
    decision = compile_policy({"t.rego": module}, entry_points=["t/p"]).decision("t/p")
    with pytest.raises(EvaluationError, match="eval_conflict_error"):
        decision.evaluate({"a": 1, "b": 2, "x": "none"})


def test_what_is_found_is_tried_in_the_order_of_the_definitions() -> None:
    tests = ["c; input.y", 'startswith(input.x, "k")', 'startswith(input.x, "k1")', 'input.x == "k12"', "input.z"]
    rules = "\n".join(f"p if {{ {test} }}" for test in [*tests, *(f'input.x == "n{i}"' for i in range(10))])
    module = f"package t\nc := input.a\nc := input.b\n{rules}"
    decision = compile_policy({"t.rego": module}, entry_points=["t/p"]).decision("t/p")
    assert decision.evaluate({"a": 1, "b": 1, "x": "k12"}) is True
    for text in ("k12", "k1", "k", "n3", "none"):
        with pytest.raises(EvaluationError, match="eval_conflict_error"):
            decision.evaluate({"a": 1, "b": 2, "x": text})
