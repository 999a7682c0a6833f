"""OPA's own evaluation cases, where they are at hand: no wrong value, and what cannot be answered is refused."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ztag_extauthz.rego.documents import _key_text, dumps, loads
from ztag_extauthz.rego.engine import EvaluationError, PolicyError, compile_policy, evaluate_term
from ztag_extauthz.rego.values import UNDEFINED, Value, equal, unkey

CASES = Path(__file__).parents[3] / "shared/data/conformance/rego-cases.jsonl"
# The case is older than the answer: OPA 1.22 gives what is given here.
OUTDATED = {"reachable_paths/cycle_1022_3"}


def cases() -> Iterator[Any]:
    with CASES.open() as lines:
        yield from map(loads, lines)


def same(got: Value, want: Value) -> bool:
    """Compare with a case's value, in which sets are arrays in any order."""
    if isinstance(got, frozenset):
        if not isinstance(want, list) or len(got) != len(want):
            return False
        rest = list(want)
        for member in map(unkey, got):
            index = next((i for i, item in enumerate(rest) if same(member, item)), None)
            if index is None:
                return False
            del rest[index]
        return True
    if isinstance(got, list):
        return isinstance(want, list) and len(got) == len(want) and all(map(same, got, want))
    if isinstance(got, dict):
        named = {_key_text(form): value for form, value in got.items()}
        return isinstance(want, dict) and named.keys() == want.keys() and all(same(named[n], want[n]) for n in named)
    return equal(got, want)


def unordered(value: Any) -> Any:
    if isinstance(value, list):
        return sorted(map(unordered, value), key=lambda item: json.dumps(item, sort_keys=True))
    return {name: unordered(item) for name, item in value.items()} if isinstance(value, dict) else value


def outcome(case: Any) -> str:
    fails = "want_error" in case or "want_error_code" in case
    modules = {f"{index}.rego": text for index, text in enumerate(case.get("modules", []))}
    document = case.get("input", UNDEFINED)
    try:
        if "input_term" in case:
            document = evaluate_term(case["input_term"])
        policy = compile_policy(modules, case.get("data") or {}, queries=[case["query"]])
        got = policy.query(case["query"], document, strict=bool(case.get("strict_error")))
    except PolicyError as error:
        supported = all(mistake.code != "rego_unsupported_error" for mistake in error.mistakes)
        return "failing" if fails and supported else "refused"
    except EvaluationError:
        return "failing" if fails else "erring"
    if fails:
        return "wrong"
    want = case["want_result"]
    if len(got) == len(want) and all(map(same, got, want)):
        return "right"
    loose = unordered(json.loads(dumps(got))) == unordered(json.loads(dumps(want)))
    return "right" if loose and case.get("sort_bindings") else "wrong"


@pytest.mark.skipif(not CASES.exists(), reason="OPA's cases are not at hand")
def test_no_case_is_answered_wrongly() -> None:
    counts: Counter[str] = Counter()
    for case in cases():
        kind = outcome(case)
        counts[kind] += 1
        assert kind not in ("wrong", "erring") or case["note"] in OUTDATED, (kind, case["note"])
    assert counts["right"] + counts["failing"] >= 1_480, counts
