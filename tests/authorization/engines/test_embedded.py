from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.authorization.parts import FAR, engine
from ztag_extauthz.authorization.engines.embedded import Embedded
from ztag_extauthz.errors import DeadlineError, EvaluationError, PolicyError
from ztag_extauthz.rego.values import UNDEFINED, Number


def evaluate(policy: str, document: dict[str, Any] | None = None, **options: Any) -> Any:
    return engine(policy, **options).evaluate(document or {}, FAR)


@pytest.mark.parametrize(
    ("policy", "value"),
    [
        ("result := true", True),
        ("result := false", False),
        ("result := null", None),
        ("result if input.missing", UNDEFINED),
        ('result := "<undefined>"', "<undefined>"),
        ("result := {1, 2}", {1, 2}),
        ('result := {"allowed": true}', {"allowed": True}),
        ("default result := false\nresult if input.missing", False),
    ],
)
def test_undefined_null_and_false_are_three_things(policy: str, value: Any) -> None:
    assert evaluate(policy) == value
    assert (evaluate(policy) is UNDEFINED) is (value is UNDEFINED)


def test_a_decision_can_be_a_package_or_a_part_of_a_rule() -> None:
    assert evaluate("allowed := true", decision="p") == {"allowed": True}
    assert evaluate('r := {"a": {"b": false}}', decision="p/r/a/b") is False
    assert evaluate('r := {"a": {}}', decision="p/r/a/b") is UNDEFINED


@pytest.mark.parametrize("decision", ["p/nothing", "q/result", "p.result.x.y.z", "result", "p/p"])
def test_a_decision_that_no_rule_defines_is_refused(decision: str) -> None:
    if decision == "p.result.x.y.z":
        assert evaluate("result := 1", decision=decision) is UNDEFINED
        return
    with pytest.raises(PolicyError, match=r"^decision: no rule defines"):
        engine("result := true", decision=decision)


def test_data_is_there() -> None:
    assert evaluate("result := data.roles.alice", data={"roles": {"alice": ["admin"]}}) == ["admin"]


def test_numbers_are_given_exactly() -> None:
    policy = "result if input.a == 9007199254740993"
    assert evaluate(policy, {"a": 9007199254740993}) is True
    assert evaluate(policy, {"a": 9007199254740992}) is UNDEFINED
    assert evaluate("result if input.a == 1.5", {"a": Number("1.5")}) is True


CONFLICT = "result := true if input.x\nresult := false if input.x"
BOUNDLESS = "result := count(numbers.range(1, input.many))"
DOCUMENT = {"s": "s3cret", "zero": 0, "x": True, "many": 10**12}


@pytest.mark.parametrize("policy", [CONFLICT, BOUNDLESS])
def test_never_2_a_policy_that_fails_is_an_error(policy: str) -> None:
    failing = engine(policy)
    for _ in range(2):
        with pytest.raises(EvaluationError) as raised:
            failing.evaluate(DOCUMENT, FAR)
        assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("call", ["to_number(input.s)", "1 / input.zero", "upper(input.zero)"])
def test_never_2_a_call_that_fails_is_undefined_as_in_opa(call: str) -> None:
    assert evaluate(f"result := {call}", DOCUMENT) is UNDEFINED
    assert evaluate(f"default result := false\nresult if {call} == input.s", DOCUMENT) is False


@pytest.mark.parametrize("call", ["http.send({})", "opa.runtime()"])
def test_never_2_what_cannot_be_answered_is_refused_at_load(call: str) -> None:
    with pytest.raises(PolicyError, match=r"p\.rego:\d+:\d+: built-in function .* is not supported"):
        engine(f"default result := true\nresult := false if {call}.x == 1")


def test_an_error_names_the_place() -> None:
    with pytest.raises(EvaluationError, match=r"eval_conflict_error at p\.rego:\d"):
        evaluate(CONFLICT, DOCUMENT)


def test_after_an_error_it_goes_on() -> None:
    failing = engine(BOUNDLESS)
    for _ in range(2):
        with pytest.raises(EvaluationError):
            failing.evaluate(DOCUMENT, FAR)
        assert failing.evaluate({"many": 3}, FAR) == 3


def test_a_deep_input_is_no_obstacle() -> None:
    deep: Any = 1
    for _ in range(900):
        deep = [deep]
    assert evaluate("result := true", {"n": deep}) is True


def test_nothing_stays_from_the_last_input() -> None:
    policy = engine("result if input.x")
    assert policy.evaluate({"x": True}, FAR) is True
    assert policy.evaluate({}, FAR) is UNDEFINED


def test_a_deadline_that_is_over_is_an_error() -> None:
    with pytest.raises(DeadlineError):
        engine("result := true").evaluate({}, 0.0)


def test_several_threads_may_ask() -> None:
    policy = engine("result := input.n")
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda number: policy.evaluate({"n": number}, FAR), range(100)))
    assert found == list(range(100))


def test_prints_go_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    assert evaluate("result if print(input)", {"token": "s3cret"}) is True
    assert "s3cret" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("package p\nresult := {", r"^a\.rego:2:\d+: "),
        ("result := true", r"^a\.rego:1:1: "),
        ("package p\nresult if x == 1", r"^a\.rego:2:\d+: .*unsafe"),
        ("package p\nresult if no_function(1)", r"a\.rego:2:\d+: .*no_function"),
    ],
)
def test_a_mistake_names_file_and_line(text: str, where: str) -> None:
    with pytest.raises(PolicyError, match=where) as raised:
        Embedded({"a.rego": text}, {}, "p/result")
    assert "Stack" not in str(raised.value)


def test_every_file_with_a_syntax_error_is_named() -> None:
    modules = {"a.rego": "package p\nx {", "b.rego": "package p\nresult := true", "c.rego": "nonsense"}
    with pytest.raises(PolicyError) as raised:
        Embedded(modules, {}, "p/result")
    assert [mistake.where.partition(":")[0] for mistake in raised.value.mistakes] == ["a.rego", "c.rego"]


def test_an_explanation_ends_at_its_deadline() -> None:
    many = "result if count([1 | some a in r; some b in r; a + b < 0]) > 0\nr := numbers.range(1, 3000)"
    explanation = engine(many).explain({}, 0.0)
    assert explanation.error is not None
    assert explanation.error.code == "eval_limit_error"
