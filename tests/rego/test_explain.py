from ztag_extauthz.rego.engine import compile_policy
from ztag_extauthz.rego.values import UNDEFINED

MODULE = """package t
default allow := false
allow if {
	input.user == "alice"
	input.method in {"GET", "HEAD"}
}
allow if {
	some role in input.roles
	data.grants[role].level > input.level
}
"""
DATA = {"grants": {"dev": {"level": 1}, "admin": {"level": 9}}}


def test_it_tells_what_was_tried_and_what_failed_with_which_values() -> None:
    policy = compile_policy({"t.rego": MODULE}, DATA, entry_points=["t/allow"])
    document = {"user": "alice", "method": "PUT", "roles": ["dev"], "level": 5}
    explanation = policy.explain("t/allow", document)
    assert explanation.value is False
    kinds = [(event.kind, event.line, event.values) for event in explanation.events]
    assert kinds == [("tried", 3, ()), ("failed", 5, ("PUT",)), ("tried", 7, ()), ("failed", 9, (1, 5))]
    assert explanation.events[1].text == 'input.method in {"GET", "HEAD"}'
    assert str(explanation).endswith("value: false")


def test_it_tells_what_gave_the_value() -> None:
    policy = compile_policy({"t.rego": MODULE}, DATA, entry_points=["t/allow"])
    explanation = policy.explain("t/allow", {"roles": ["admin"], "level": 5})
    assert explanation.value is True
    assert [event.kind for event in explanation.events][-1] == "gave"


def test_it_tells_of_errors_and_undefined() -> None:
    policy = compile_policy({"t.rego": "package t\np := 1 if input.a\np := 2 if input.b"}, entry_points=["t/p"])
    assert policy.explain("t/p", {}).value is UNDEFINED
    failed = policy.explain("t/p", {"a": 1, "b": 1})
    assert failed.error is not None
    assert "eval_conflict_error" in str(failed)


def test_new_data_is_explained_too() -> None:
    policy = compile_policy({"t.rego": MODULE}, DATA, entry_points=["t/allow"])
    document = {"roles": ["dev"], "level": 5}
    assert policy.explain("t/allow", document).value is False
    policy.relink({"grants": {"dev": {"level": 7}}})
    assert policy.explain("t/allow", document).value is True
    assert policy.decision("t/allow").evaluate(document) is True


def test_without_values_it_tells_the_lines_and_nothing_of_the_input() -> None:
    policy = compile_policy({"t.rego": MODULE}, DATA, entry_points=["t/allow"])
    document = {"user": "alice", "method": "PUT", "roles": ["dev"], "level": 5}
    explanation = policy.explain("t/allow", document).without_values()
    assert [(event.kind, event.line) for event in explanation.events] == [
        ("tried", 3), ("failed", 5), ("tried", 7), ("failed", 9),
    ]  # fmt: skip
    assert "PUT" not in str(explanation)
    assert str(explanation).endswith("value: false")


def test_without_values_truth_is_told_and_text_is_not() -> None:
    policy = compile_policy({"t.rego": "package t\np := input.a"}, entry_points=["t/p"])
    told = [policy.explain("t/p", {"a": value}).without_values() for value in ("s3cret", True)]
    assert [str(one).splitlines()[-2:] for one in told] == [
        ["    gave a value", "value: withheld"],
        ["    gave true", "value: true"],
    ]
    assert "s3cret" not in repr(told[0])
    assert policy.explain("t/p", {}).without_values().value is UNDEFINED
