"""Modules, inputs, and what the real OPA 1.22 answered for them (recorded in `opa_answers.json`)."""

import json
import re
from pathlib import Path

import pytest

from ztag_extauthz.rego.documents import dumps, from_python, loads
from ztag_extauthz.rego.engine import EvaluationError, PolicyError, compile_policy
from ztag_extauthz.rego.values import UNDEFINED, Value

RECORDED = loads((Path(__file__).parent / "opa_answers.json").read_text())
# OPA takes whichever pair its own order of keys brings last; here two values for one key are a conflict.
ERRING = {'p := {input.user: 1, "eve": 2}'}


def answer(module: str, document: Value) -> str:
    try:
        policy = compile_policy({"t.rego": f"package t\n{module}"}, RECORDED["data"], entry_points=["t"])
        value = policy.decision("t").evaluate(document)
    except (PolicyError, EvaluationError) as error:
        return f"error: {error}"
    return "undefined" if value is UNDEFINED else dumps(value, escape_html=False)


def error_code(told: str) -> str:
    """`eval_conflict_error` …; an answer that is no error has none, and matches nothing."""
    code = re.match(r"error: (?:\S+: )?((?:eval|rego)_\w+_error): ", told)
    assert code, told
    return code[1]


@pytest.mark.parametrize("row", RECORDED["answers"], ids=lambda row: row[0][:60])
def test_answers_as_opa_does(row: list[str]) -> None:
    module, *wanted = row
    for document, expected in zip(RECORDED["inputs"], wanted, strict=True):
        got = answer(module, document)
        if got != expected:
            wanted_code = "eval_conflict_error" if module in ERRING else error_code(expected)
            assert error_code(got) == wanted_code, f"{got}\n{expected}"


@pytest.mark.parametrize("row", RECORDED["answers"], ids=lambda row: row[0][:60])
def test_an_explanation_comes_to_the_same(row: list[str]) -> None:
    module = f"package t\n{row[0]}"
    try:
        policy = compile_policy({"t.rego": module}, RECORDED["data"], entry_points=["t"])
    except PolicyError:
        return
    for document in RECORDED["inputs"]:
        explanation = policy.explain("t", document)
        if explanation.error is not None:
            with pytest.raises(EvaluationError, match=explanation.error.code):
                policy.decision("t").evaluate(document)
        else:
            assert dumps(explanation.value) == dumps(policy.decision("t").evaluate(document))
        assert str(explanation)


def test_python_objects_are_taken_as_documents() -> None:
    assert dumps(from_python(json.loads('{"a": [1.5, true, null]}'))) == '{"a":[1.5,true,null]}'
