"""The engine answers as OPA does: its own cases, and policies written to go wrong, with the answers that it gave."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from loadtest.conformance import cases, recorded
from loadtest.conformance.compare import compare
from ztag_extauthz.rego.engine import compile_policy
from ztag_extauthz.rego.errors import PolicyError

RECORDED = Path(__file__).with_name("recorded") / "adversarial.jsonl"


def test_opas_own_cases() -> None:
    """None is answered wrongly, and what is not answered was refused when the policy was loaded."""
    path = cases.published()
    if path is None:
        pytest.skip(f"no published test vectors: set ZTAG_VECTORS to the folder that has {cases.FILE}")
    outcomes = Counter(cases.run(case).kind for case in cases.load(path))
    assert outcomes["wrong"] == 0
    assert outcomes["failed"] == 0
    assert outcomes["right"] >= 1480


def test_adversarial_policies() -> None:
    """Every answer is OPA's, or there is none."""
    kinds: Counter[str] = Counter()
    for question, answer in recorded.read(RECORDED):
        for result in compare(question, answer):
            assert not result.finding, f"{question.modules}: {result.detail}"
            kinds[result.kind] += 1
    # What is refused or errs are the places where OPA's own answer depends on what no reader sees.
    assert kinds["equal"] > 3400
    assert kinds.total() - kinds["equal"] < 190, kinds
    assert set(kinds) <= {"equal", "refused", "erring", "untyped"}


@pytest.mark.parametrize(
    ("term", "loads"),
    [
        ("[w | some w in {input.a, input.b}]", False),
        ("[w | s := {input.a, 1}; some w in s]", False),
        ("[1 | {input.a, 2}[_]]", False),
        ("[k | some k, _ in {input.a: 1, input.b: 1}]", False),
        ("[w | some w in [{input.a, input.b}][0]]", False),
        ("{w | x := {input.a, input.b}; w := [y | some y in x]}", False),
        ("[w | some w in f(input)]", False),
        ("g({input.a, input.b})", False),
        ("[w | some w in f(input) | set()]", True),
        ("g({1, 2})", True),
        ("[w | some w in {1, 2}]", True),
        ("[1 | input.c in {input.a, input.b}]", True),
        ("[1 | s := {input.a, 2}; s[input.c]]", True),
        ("{w | some w in {input.a, input.b}}", True),
        ("[w | some w in [input.a, input.b]]", True),
    ],
)
def test_arrays_that_opa_orders_by_names_of_variables_are_refused(term: str, loads: bool) -> None:  # noqa: FBT001
    """Only where a set of variables is gone through to make an array."""
    functions = "f(x) := {x.a, x.b}\ng(x) := [y | some y in x]\n"
    modules = {"t.rego": f"package t\n\n{functions}p := {term}\n"}
    if loads:
        compile_policy(modules, entry_points=["t/p"])
    else:
        with pytest.raises(PolicyError, match="names of variables"):
            compile_policy(modules, entry_points=["t/p"])
