"""The engine answers as OPA does: its own cases, and policies written to go wrong, with the answers that it gave."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from loadtest.conformance import cases, recorded
from loadtest.conformance.compare import compare

RECORDED = Path(__file__).with_name("recorded") / "adversarial.jsonl"


def test_opas_own_cases() -> None:
    """None is answered wrongly, and what is not answered was refused when the policy was loaded."""
    path = cases.default_path()
    if not path.exists():
        pytest.skip(f"there are no cases at {path}")
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
    assert kinds["equal"] > 1500
    assert kinds.total() - kinds["equal"] < 20, kinds
