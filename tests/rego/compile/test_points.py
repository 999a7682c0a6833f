"""One member of a rule that gives a set or an object. The answers are OPA 1.22.2's."""

from collections.abc import Sequence
from typing import Any

import pytest

from ztag_extauthz.rego.builtins.interface import REGISTRY, builtin
from ztag_extauthz.rego.engine import Policy, compile_policy
from ztag_extauthz.rego.errors import EvaluationError
from ztag_extauthz.rego.lower.names import builtin_arity, find_builtin
from ztag_extauthz.rego.values import UNDEFINED, Value

MODULE = """package p
g[i] := v if some i, v in data.list
n[i] := v if some i, v in data.obj
s contains i if some i, _ in data.list
c[k] := 1 if k := input.x
c[k] := 2 if k := input.y
t contains k if k := input.x
t contains "fixed" if input.y
w[k] := input.x if k := input.y
patched := x if x := w.q with input.x as 7
both := [x | some k in ["0", 0, "2", 2]; x := [k, n[k]]]
inner := n[input.z].a
twice := [c[input.z], c[input.z]]
denied if not c[input.z]
"""
DATA: dict[str, Value] = {"list": ["l0", "l1"], "obj": {"2": {"a": "two"}}}


def _compiled(queries: Sequence[str]) -> Policy:
    return compile_policy({"p.rego": MODULE}, DATA, queries=queries)


@pytest.mark.parametrize(
    ("term", "document", "expected"),
    [
        ('data.p.g["0"]', {}, "l0"),
        ("data.p.g[0]", {}, "l0"),
        ("data.p.g[2]", {}, None),
        ("data.p.g[1.0]", {}, "l1"),
        ('data.p.s["0"]', {}, "0"),
        ("data.p.s[0]", {}, 0),
        ("data.p.n[2]", {}, {"a": "two"}),
        ('data.p.n["2"]', {}, {"a": "two"}),
        ('data.p.n["2"].a', {}, "two"),
        ('data.p.n["2"].b', {}, None),
        ("data.p.both", {}, [["2", {"a": "two"}], [2, {"a": "two"}]]),
        ("data.p.inner", {"z": "2"}, "two"),
        ("data.p.inner", {}, None),
        ("data.p.c[input.z]", {"x": "q", "y": "r", "z": "r"}, 2),
        ("data.p.c[input.z]", {"x": "q", "y": "q", "z": "w"}, None),
        ("data.p.c[input.z]", {"x": [1], "y": 2, "z": [1]}, 1),
        ("data.p.c[input.z]", {"x": True, "y": 1, "z": True}, 1),
        ("data.p.c[input.z]", {"x": True, "y": 1, "z": 1}, 2),
        ("data.p.t[input.z]", {"x": "q", "y": 1, "z": "fixed"}, "fixed"),
        ("data.p.t[input.z]", {"x": "q", "z": "fixed"}, None),
        ("data.p.patched", {"x": 1, "y": "q"}, 7),
        ("data.p.twice", {"x": "q", "y": "r", "z": "q"}, [1, 1]),
        ("data.p.denied", {"x": "q", "z": "w"}, True),
        ("data.p.denied", {"x": "q"}, None),
    ],
)
def test_one_member_is_what_opa_gives(term: str, document: Value, expected: Any) -> None:
    found = _compiled([f"x = {term}"]).query(f"x = {term}", document)
    assert found == ([] if expected is None else [{"x": expected}])


def test_a_conflict_at_the_key_is_found() -> None:
    policy = _compiled(["x = data.p.c[input.z]"])
    with pytest.raises(EvaluationError) as error:
        policy.query("x = data.p.c[input.z]", {"x": "q", "y": "q", "z": "q"})
    assert error.value.code == "eval_conflict_error"


def test_only_the_members_that_are_asked_for_are_made() -> None:
    asked: list[Value] = []

    @builtin("test.note", signature="(any) => any", pure=False)
    def note(value: Value) -> Value:
        asked.append(value)
        return value

    try:
        module = "package p\nm[k] := v if {\n  some k, role in data.roles\n  v := test.note(role)\n}\nx := m[input.k]\n"
        roles = {str(number): number for number in range(1000)}
        decision = compile_policy({"p.rego": module}, {"roles": roles}, entry_points=["p/x"]).decision("p/x")
        assert decision.evaluate({"k": "7"}) == 7
        assert decision.evaluate({"k": "none"}) is UNDEFINED
        assert asked == [7]
    finally:
        del REGISTRY["test.note"]
        find_builtin.cache_clear()
        builtin_arity.cache_clear()


def test_what_goes_through_something_is_made_once_and_whole() -> None:
    module = "package p\nm[k] := x if {\n  some x in input.l\n  k := x.id\n}\nx := [m.a, m.b]\n"
    policy = compile_policy({"p.rego": module}, entry_points=["p/x"])
    document = {"l": [{"id": "a"}, {"id": "b"}]}
    assert policy.decision("p/x").evaluate(document) == [{"id": "a"}, {"id": "b"}]
    assert "point_" not in policy.source()


def test_many_definitions_are_found_by_their_index() -> None:
    rules = "\n".join(f'm contains k if {{\n  k := input.k\n  input.path == "/{n}"\n}}' for n in range(50))
    policy = compile_policy({"p.rego": f"package p\n{rules}\nx if m[input.k]"}, entry_points=["p/x"])
    assert policy.decision("p/x").evaluate({"k": "a", "path": "/7"}) is True
    assert policy.decision("p/x").evaluate({"k": "a", "path": "/x"}) is UNDEFINED
