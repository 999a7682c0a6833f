"""What `vectors/jsonschema.jsonl` cannot show: what is refused, what is bounded, and what is prepared at load."""

from typing import Any

import pytest

from ztag_extauthz.rego.builtins.catalogue import REGISTRY
from ztag_extauthz.rego.builtins.interface import NOT_CONSTANT
from ztag_extauthz.rego.engine import LimitError, compile_policy
from ztag_extauthz.rego.errors import EvaluationError

_SCHEMA = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 3}}, "required": ["n"]}


def _matched(document: Any, schema: Any) -> Any:
    return REGISTRY["json.match_schema"].function(document, schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "https://example.com/schema.json"},
        {"$ref": "other.json"},
        {"$ref": "#anchor"},
        {"allOf": [{"$ref": "#/allOf/0"}]},
        {"$id": "relative.json"},
        {"items": {"$id": "https://example.com/inner.json"}},
        {"$schema": "urn:x"},
        {"minimum": 10**25 + 1},
        {"const": 10**400},
        {"$ref": "#/definitions/a", "minLength": -1, "definitions": {"a": {}}},
    ],
)
def test_what_is_not_supported_is_an_error(schema: Any) -> None:
    with pytest.raises(EvaluationError, match="not supported"):
        _matched([2], {"items": schema} if "minimum" in schema else schema)


def test_an_unusual_address_is_an_error_and_a_plain_one_is_told() -> None:
    schema = {"items": {"format": "email"}}
    assert _matched(["a@b.c", "x"], schema)[1][0]["field"] == "1"
    with pytest.raises(EvaluationError, match="not supported"):
        _matched(['"a b"@c'], schema)


def _decision(rule: str) -> Any:
    return compile_policy({"p.rego": f"package p\n\nx := {rule}"}, entry_points=["p/x"]).decision("p/x")


def test_a_schema_that_holds_itself_is_an_error() -> None:
    """OPA's stack overflows."""
    with pytest.raises(LimitError, match="deeply"):
        _decision('json.match_schema(input, {"$ref": "#"})').evaluate({"a": 1})


def test_alternatives_that_double_end_by_the_deadline() -> None:
    again = '{"properties": {"a": {"$ref": "#"}}}'
    document: Any = 1
    for _ in range(60):
        document = {"a": document}
    never = '{"required": ["z"]}'
    rule = f'json.match_schema(input, {{"oneOf": [{again}, {again}], "allOf": [{never}]}})'
    with pytest.raises(LimitError, match="deadline"):
        _decision(rule).evaluate(document, deadline=0.0)


def test_a_constant_schema_is_read_at_load() -> None:
    prepare = REGISTRY["json.match_schema"].specialise
    assert prepare is not None
    prepared = prepare([NOT_CONSTANT, _SCHEMA])
    assert prepared is not None
    for document in ({"n": 1}, {"n": 9}, {}, '{"n": "x"}'):
        assert prepared(document) == _matched(document, _SCHEMA)
    assert prepare([NOT_CONSTANT, {"type": "x"}]) is None
    assert prepare([NOT_CONSTANT, {"$ref": "x"}]) is None
    assert prepare([{}, NOT_CONSTANT]) is None


def test_its_answers_may_be_remembered() -> None:
    """No schema reaches out, so the same arguments have the same answer."""
    assert REGISTRY["json.match_schema"].pure
    assert REGISTRY["json.verify_schema"].pure


def test_a_policy_asks_for_the_truth_and_for_the_reasons() -> None:
    value = _decision(
        'json.match_schema(input, {"type": "object", "properties": {"n": {"maximum": 3}}, "required": ["n"]})'
    ).evaluate({"n": 5})
    told = "Must be less than or equal to 3"
    assert value == [False, [{"error": f"n: {told}", "type": "number_lte", "field": "n", "desc": told}]]
