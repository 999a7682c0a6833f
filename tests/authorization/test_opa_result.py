from typing import Any

import pytest
from envoy.type.v3.http_status_pb2 import StatusCode
from hypothesis import given
from hypothesis import strategies as st

from ztag_extauthz.authorization.opa_result import HTTP_STATUSES, interpret
from ztag_extauthz.errors import EvaluationError
from ztag_extauthz.model import Allow, Deny, Reason
from ztag_extauthz.rego.documents import from_python
from ztag_extauthz.rego.values import UNDEFINED, Number, key

YES: dict[str, Any] = {"allowed": True}
NO: dict[str, Any] = {"allowed": False}


def test_a_boolean_is_an_answer() -> None:
    assert interpret(True) == Allow()  # noqa: FBT003
    assert interpret(False) == Deny(Reason.POLICY)  # noqa: FBT003


def test_everything_that_an_allow_can_say() -> None:
    verdict = interpret(
        {
            **YES,
            "headers": {"x-a": "1", "x-b": ["2", "3"]},
            "response_headers_to_add": [{"x-r": "1"}, {"x-r": ["2"]}],
            "request_headers_to_remove": ["x-c"],
            "query_parameters_to_set": {"a": "1", "b": ["2", "3"]},
            "query_parameters_to_remove": frozenset({"t"}),
            "dynamic_metadata": {"k": [1, None, {"s": frozenset({"x"})}]},
        }
    )
    assert verdict == Allow(
        request_headers=(("x-a", "1"), ("x-b", "2"), ("x-b", "3")),
        request_headers_to_remove=("x-c",),
        response_headers=(("x-r", "1"), ("x-r", "2")),
        query_parameters=(("a", "1"), ("b", "2"), ("b", "3")),
        query_parameters_to_remove=("t",),
        metadata={"k": [1.0, None, {"s": ["x"]}]},
    )


def test_everything_that_a_denial_can_say() -> None:
    verdict = interpret(
        {**NO, "headers": {"x-a": "1"}, "body": "no", "http_status": 401, "dynamic_metadata": {"k": True}}
    )
    expected = Deny(Reason.POLICY, status=401, headers=(("x-a", "1"),), body="no", metadata={"k": True})
    assert verdict == expected


@pytest.mark.parametrize(
    "value",
    [
        {**NO, "response_headers_to_add": 1, "request_headers_to_remove": 1},
        {**NO, "query_parameters_to_set": 1, "query_parameters_to_remove": 1},
        {**YES, "body": 1, "http_status": "x"},
        {**YES, "unknown": 1},
    ],
)
def test_fields_that_an_answer_does_not_use_are_not_looked_at(value: dict[str, Any]) -> None:
    assert isinstance(interpret(value), Allow if value["allowed"] else Deny)


NOT_ANSWERS: tuple[Any, ...] = (
    UNDEFINED, None, 1, 0, Number("1.0"), "true", "", [], [True], frozenset(), {}, {"allow": True}, {"allowed": None},
    {"allowed": 1}, {"allowed": "true"}, {"allowed": [True]},
)  # fmt: skip
WRONG_FIELDS = (
    {**YES, "headers": None}, {**NO, "headers": None}, {**YES, "headers": "x"}, {**YES, "headers": [1]},
    {**YES, "headers": {"x": 1}},
    {**YES, "headers": {"x": [1]}}, {**YES, "headers": {"x": None}}, {**YES, "headers": {"x": {"y": "z"}}},
    {**YES, "headers": {1: "x"}},
    {**YES, "dynamic_metadata": None}, {**NO, "dynamic_metadata": []}, {**YES, "dynamic_metadata": {"n": 10**400}},
    {**YES, "response_headers_to_add": None}, {**YES, "response_headers_to_add": {"x": 1}},
    {**YES, "request_headers_to_remove": "x"}, {**YES, "request_headers_to_remove": [1]},
    {**YES, "request_headers_to_remove": None},
    {**YES, "query_parameters_to_set": [{"a": "1"}]}, {**YES, "query_parameters_to_set": {"a": 1}},
    {**YES, "query_parameters_to_set": {"a": [1]}}, {**YES, "query_parameters_to_set": None},
    {**YES, "query_parameters_to_remove": {}}, {**YES, "query_parameters_to_remove": [None]},
    {**NO, "body": 1}, {**NO, "body": None}, {**NO, "http_status": "403"}, {**NO, "http_status": None},
    {**NO, "http_status": True}, {**NO, "http_status": 403.0}, {**NO, "http_status": 403.5},
    {**NO, "http_status": 10**30},
    *({**NO, "http_status": status} for status in (-1, 0, 99, 103, 306, 418, 425, 451, 599, 600, 1000)),
)  # fmt: skip
CANNOT_BE_SENT = (
    {"a b": "1"}, {"": "1"}, {"a:b": "1"}, {"a\n": "1"}, {"é": "1"}, {"x": "a\nb"}, {"x": "a\r"}, {"x": "\0"},
    {"x": ["a", "\x1b"]},
)  # fmt: skip


@pytest.mark.parametrize("value", NOT_ANSWERS)
def test_never_2_what_is_no_answer_is_an_error(value: Any) -> None:
    with pytest.raises(EvaluationError):
        interpret(value)


@pytest.mark.parametrize("value", WRONG_FIELDS)
def test_never_2_a_field_of_the_wrong_type_is_an_error(value: Any) -> None:
    with pytest.raises(EvaluationError):
        interpret(value)


@pytest.mark.parametrize("headers", CANNOT_BE_SENT)
def test_a_header_that_cannot_be_sent_is_an_error(headers: dict[str, Any]) -> None:
    for value in ({**YES, "headers": headers}, {**YES, "response_headers_to_add": headers}):
        with pytest.raises(EvaluationError):
            interpret(value)


@pytest.mark.parametrize("headers", CANNOT_BE_SENT)
def test_a_denial_goes_out_without_the_headers_that_cannot_be_sent(headers: dict[str, Any]) -> None:
    verdict = interpret({**NO, "headers": [headers, {"y": "2"}]})
    assert isinstance(verdict, Deny)
    assert set(verdict.headers) <= {("y", "2"), ("x", "a")}
    assert ("y", "2") in verdict.headers


@pytest.mark.parametrize("number", [10**400, Number("-1e999"), {"deep": [10**400]}])
def test_a_denial_goes_out_without_the_metadata_that_cannot_be_sent(number: Any) -> None:
    assert interpret({**NO, "dynamic_metadata": {"n": number, "k": 1}}) == Deny(Reason.POLICY, metadata={"k": 1.0})
    with pytest.raises(EvaluationError):
        interpret({**YES, "dynamic_metadata": {"n": number, "k": 1}})


@given(
    st.text() | st.lists(st.text()),
    st.text(),
    st.integers() | st.floats(allow_nan=False, allow_infinity=False).map(from_python),
)
def test_what_a_caller_writes_into_a_denial_makes_no_error_of_it(value: Any, name: str, number: Any) -> None:
    verdict = interpret({**NO, "headers": {name: value}, "dynamic_metadata": {name: number, "x": value}, "body": name})
    assert isinstance(verdict, Deny)


def test_the_names_of_headers_to_remove_are_headers_names() -> None:
    with pytest.raises(EvaluationError):
        interpret({**YES, "request_headers_to_remove": [":path"]})


def test_an_error_does_not_repeat_a_value() -> None:
    with pytest.raises(EvaluationError) as raised:
        interpret({**YES, "headers": {"x-token": "secret\n"}})
    assert "secret" not in str(raised.value)


def test_a_policy_may_rewrite_the_path_and_nothing_like_it_elsewhere() -> None:
    assert interpret({**YES, "headers": {":path": "/b"}}) == Allow(request_headers=((":path", "/b"),))
    with pytest.raises(EvaluationError):
        interpret({**YES, "response_headers_to_add": {":status": "200"}})
    assert interpret({**NO, "headers": {":status": "200"}}) == Deny(Reason.POLICY)


def test_statuses_are_those_that_envoy_knows() -> None:
    assert {status for status in StatusCode.values() if status} == HTTP_STATUSES


@pytest.mark.parametrize("status", sorted(HTTP_STATUSES))
def test_every_status_can_be_asked_for(status: int) -> None:
    assert interpret({**NO, "http_status": status}) == Deny(Reason.POLICY, status=status)


def test_metadata_that_is_too_deep_is_an_error() -> None:
    deep: Any = 1
    for _ in range(100):
        deep = [deep]
    with pytest.raises(EvaluationError, match="deep"):
        interpret({**YES, "dynamic_metadata": {"k": deep}})


def test_metadata_that_holds_its_parts_many_times_over_is_an_error() -> None:
    doubled: Any = [1]
    for _ in range(40):
        doubled = [doubled, doubled]
    with pytest.raises(EvaluationError, match="large"):
        interpret({**YES, "dynamic_metadata": {"k": doubled}})
    verdict = interpret({**NO, "dynamic_metadata": {"n": 1, "k": doubled}})
    assert verdict == Deny(Reason.POLICY, metadata={"n": 1.0})


_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
_VALUES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
_FIELDS = st.sampled_from(["allowed", "headers", "body", "http_status", "dynamic_metadata", "query_parameters_to_set"])


@given(_VALUES | st.dictionaries(_FIELDS, _VALUES))
def test_never_2_only_true_allows(value: Any) -> None:
    try:
        verdict = interpret(value)
    except EvaluationError:
        return
    allowed = value if isinstance(value, bool) else value["allowed"]
    assert isinstance(verdict, Allow) is (allowed is True)


def test_a_key_of_metadata_that_is_no_string_has_the_name_that_it_has_in_json() -> None:
    composite = {key([1, "a"]): 1, key([True]): 2, key(None): {key(frozenset({2})): 3}}
    verdict = interpret({**YES, "dynamic_metadata": composite})
    assert isinstance(verdict, Allow)
    assert verdict.metadata == {'[1,"a"]': 1.0, "[true]": 2.0, "null": {"[2]": 3.0}}
