"""What a decision is said to read: inputs that look alike through it must have one answer."""

import random
from pathlib import Path
from typing import Any

import pytest

from ztag_extauthz.rego.documents import dumps, from_python, loads
from ztag_extauthz.rego.engine import EvaluationError, PolicyError, compile_policy
from ztag_extauthz.rego.values import UNDEFINED, Value

RECORDED = loads((Path(__file__).parents[1] / "opa_answers.json").read_text())
PIECES = [None, True, False, 0, 1, 2, "a", "dev", "admin", "eve", "abc", 1.5, [], {}, [1, "dev"], {"a": 1},
          {"a": {"b": [1, 2, {"c": 3}]}}, [{"id": 1}]]  # fmt: skip


def mutant(value: Any, dice: random.Random, depth: int = 0) -> Any:
    """Change, leave out or add something in a document."""
    roll = dice.random()
    if roll < 0.25 or depth > 4 or not isinstance(value, dict | list):
        return dice.choice(PIECES)
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    changed = value.copy()
    if not keys or roll > 0.85:
        if isinstance(changed, dict):
            changed[dice.choice("abxlmos")] = dice.choice(PIECES)
        else:
            changed.append(dice.choice(PIECES))
        return changed
    key = dice.choice(keys)
    if roll < 0.5:
        del changed[key]
    else:
        changed[key] = mutant(changed[key], dice, depth + 1)
    return changed


def answer(decision: Any, document: Value) -> str:
    try:
        value = decision.evaluate(document)
    except EvaluationError as error:
        return error.code
    return "undefined" if value is UNDEFINED else dumps(value)


@pytest.mark.parametrize("row", RECORDED["answers"], ids=lambda row: row[0][:60])
def test_what_is_not_read_does_not_matter(row: list[str]) -> None:
    dice = random.Random(row[0])  # noqa: S311
    try:
        policy = compile_policy({"t.rego": f"package t\n{row[0]}"}, RECORDED["data"], entry_points=["t"])
    except PolicyError:
        return
    decision, reads = policy.decision("t"), policy.reads("t")
    if not reads.cacheable:
        return
    for document in RECORDED["inputs"]:
        known = {reads.key(document): answer(decision, document)}
        for _ in range(60):
            changed = from_python(mutant(document, dice))
            got = answer(decision, changed)
            assert known.setdefault(reads.key(changed), got) == got, (reads, changed)


@pytest.mark.parametrize(
    ("module", "deep", "exists"),
    [
        ('p if input.a.b == "x"', {("a", "b")}, set()),
        ("p if { x := input.a; x.b == 1 }", {("a", "b")}, set()),
        ("q := input.a\np if q.b.c", {("a", "b", "c")}, set()),
        ("f(x) := x.b\np := f(input.a)", {("a", "b")}, set()),
        ("p if { x := input.a; true }", set(), {("a",)}),
        ("p if input.a[0].b", {("a", 0, "b")}, set()),
        ("p if input.a[_].b == 1", {("a",)}, set()),
        ("p if some x in input.a", {("a",)}, set()),
        ("p if input[input.k]", {()}, set()),
        ('p := object.get(input, ["a", "b"], 1)', {("a", "b")}, set()),
        ("p if q with input as input.sub\nq if input.x", {("sub", "x")}, set()),
        ("p := count(input.a)", {("a",)}, set()),
        ("p := 1", set(), set()),
    ],
)
def test_reads(module: str, deep: set[Any], exists: set[Any]) -> None:
    reads = compile_policy({"t.rego": f"package t\n{module}"}, entry_points=["t/p"]).reads("t/p")
    assert (set(reads.deep), set(reads.exists)) == (deep, exists)


def test_impure_builtins_and_data_are_named() -> None:
    module = 'package t\np if { time.now_ns() > 0; rand.intn("x", 5) >= 0; data.users[input.u] }'
    reads = compile_policy({"t.rego": module}, entry_points=["t/p"]).reads("t/p")
    assert reads.impure == {"time.now_ns", "rand.intn"}
    assert reads.data == {("users",)}
    assert not reads.cacheable
