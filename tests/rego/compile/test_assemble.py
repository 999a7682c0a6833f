import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any

import pytest

from ztag_extauthz.rego.compile.assemble import assemble
from ztag_extauthz.rego.engine import compile_policy


def test_functions_of_one_shape_share_what_was_compiled_and_keep_their_names() -> None:
    names: dict[str, Any] = {"c1": "a", "c2": "b", "c3": "c", "__builtins__": {"all": all}}
    texts = [f"def rule_{n}(s):\n    v1 = c{n}\n    return all(e == v1 == c{n} for e in s)" for n in (1, 2, 3)]
    assemble(texts, names)
    assert [names[f"rule_{n}"]("b") for n in (1, 2, 3)] == [False, True, False]
    codes = [names[f"rule_{n}"].__code__ for n in (1, 2, 3)]
    assert len({code.co_code for code in codes}) == 1
    assert [code.co_name for code in codes] == ["rule_1", "rule_2", "rule_3"]


def test_a_name_that_is_used_twice_is_told_from_two_names() -> None:
    names: dict[str, Any] = {"c1": 1, "c2": 2, "__builtins__": {}}
    assemble(["def body_1(s):\n    return c1 + c1", "def body_2(s):\n    return c1 + c2"], names)
    assert (names["body_1"](None), names["body_2"](None)) == (2, 3)


def test_functions_call_one_another() -> None:
    names: dict[str, Any] = {"c1": 1, "__builtins__": {}}
    assemble(["def rule_1(s):\n    return body_2(s)", "def body_2(s):\n    return c1"], names)
    assert isinstance(names["rule_1"], FunctionType)
    assert names["rule_1"](None) == 1


def _calls(text: str) -> int:
    """Count the functions that are called while a policy is loaded."""
    count = 0

    def profile(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        compile_policy({"p.rego": f"package p\n{text}"}, entry_points=["p"])
    finally:
        sys.setprofile(None)
    return count


def _rules(count: int) -> str:
    test = 'rule_{n} if {{\n  input.path == "/p{n}"\n  input.method in {{"GET", "POST"}}\n}}'
    return "\n".join(test.format(n=n) for n in range(count))


def _body(count: int) -> str:
    literals = "\n".join(f"  x{n} := input.a{n} + 1" for n in range(count))
    return f"q if {{\n{literals}\n  x0 == 1\n}}"


@pytest.mark.parametrize("make", [_rules, _body])
def test_loading_is_linear(make: Callable[[int], str]) -> None:
    _calls(make(10))  # what is made once
    assert _calls(make(800)) < 4.5 * _calls(make(200))


@pytest.mark.parametrize("captured", [1, 20, 60])
def test_what_a_comprehension_captures_hides_no_patched_path(captured: int) -> None:
    binds = "\n".join(f"  x{n} := input.v{n}" for n in range(captured))
    total = " + ".join(f"x{n}" for n in range(captured))
    module = f"""package p
q contains z if {{
{binds}
  some z in [y | y := data.cfg.a + {total}]
}}
r := y if y := q with data.cfg.a as 7
"""
    policy = compile_policy({"p.rego": module}, {"cfg": {"a": 1}}, entry_points=["p/r"])
    given = {f"v{n}": 1 for n in range(captured)}
    assert policy.decision("p/r").evaluate(given) == frozenset([7 + captured])
