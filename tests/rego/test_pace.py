"""Values that hold one another twice, many times over: whoever walks through one is stopped by the deadline."""

from threading import Thread
from time import monotonic

import pytest

from ztag_extauthz.rego import pace
from ztag_extauthz.rego.builtins.interface import Context
from ztag_extauthz.rego.documents import dumps, excerpt
from ztag_extauthz.rego.engine import LimitError, compile_policy

LEVELS = 40
FORMS = {
    "arrays": "[{0}, {0}]",
    "objects": '{{"l": {0}, "r": {0}}}',
    "sets": "{{[1, {0}], [2, {0}]}}",
}
WALKS = {
    "equal": "x := a == b",
    "unlike": "x := a != b",
    "order": "x := a < b",
    "hash": "x := {a}",
    "key": "x := {a: 1}",
    "members": "x := b in {a}",
    "sort": "x := sort([a, b])",
    "largest": "x := max([a, b])",
    "unify": "x if [a, 1] = [b, 1]",
    "text": 'x := $"{a}"',
    "sprintf": 'x := sprintf("%v", [a])',
    "JSON": "x := json.marshal(a)",
    "base64": "x := base64.encode(json.marshal([a]))",
    "form": 'x := urlquery.encode_object({"x": [json.marshal(a)]})',
    "token": 'x := io.jwt.encode_sign({"alg": "HS256"}, {"x": a}, {"kty": "oct", "k": "c2VjcmV0"})',
    "conflict": "x := y\ny := a\ny := b",
    "result": "x := {1, [a]} | {1, [b]}",
    "contained": 'x := object.subset({"x": a}, {"x": b})',
    "merged": 'x := object.union({"x": a}, {"x": b})',
    "patch": 'x := json.patch({"x": a}, [{"op": "test", "path": "x", "value": b}])',
    "walk": "x := count([1 | walk(a)])",
}
QUICK = {("hash", "sets"), ("key", "sets"), ("merged", "arrays"), ("merged", "sets")}


def doubled(form: str, levels: int = LEVELS) -> str:
    """Write two rules of one value, which share no part."""
    lines = ["package t"]
    for name in "ab":
        lines.append(f"{name}0 := [input.x]")
        lines += [f"{name}{i + 1} := {form.format(f'{name}{i}')}" for i in range(levels)]
        lines.append(f"{name} := {name}{levels}")
    return "\n".join(lines)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("walk", WALKS)
def test_the_deadline_ends_a_walk(walk: str, form: str) -> None:
    """What shares its parts, or has a limit of its own, may give an answer, and then at once."""
    module = f"{doubled(FORMS[form])}\n{WALKS[walk]}"
    decision = compile_policy({"t.rego": module}, entry_points=["t/x"]).decision("t/x")
    if (walk, form) in QUICK:
        decision.evaluate({"x": 1})
    else:
        with pytest.raises(LimitError):
            decision.evaluate({"x": 1}, deadline=monotonic() + 0.02)


def test_wide_parts_count_as_much_as_many() -> None:
    """Two thousand containers of fifty thousand elements would take minutes between two looks at the clock."""
    leaf = "numbers.range(1, 50000)"
    wide = "\n".join(f"{name} := [leaf | some _ in numbers.range(1, 5000)]" for name in "ab")
    module = f"package t\nleaf := {leaf}\n{wide}\nx := a == b"
    decision = compile_policy({"t.rego": module}, entry_points=["t/x"]).decision("t/x")
    begun = monotonic()
    with pytest.raises(LimitError):
        decision.evaluate({}, deadline=begun + 0.1)
    assert monotonic() - begun < 10  # a tenth of a second on two cores


def test_each_thread_has_its_own_deadline() -> None:
    """Another thread's deadline, long over, ends nothing here."""
    pair = [[place] for place in range(pace.CHECK_EVERY)]
    module = "package t\nx if {\nsome i in numbers.range(1, 50)\ninput.a == input.b\ni == 50\n}"
    decision = compile_policy({"t.rego": module}, entry_points=["t/x"]).decision("t/x")
    endless = compile_policy({"t.rego": f"{doubled(FORMS['arrays'])}\nx := a == b"}, entry_points=["t/x"]).decision(
        "t/x"
    )
    ended: list[str] = []

    def late() -> None:
        for _ in range(20):
            try:
                endless.evaluate({"x": 1}, deadline=monotonic())
            except LimitError as error:
                ended.append(str(error))

    thread = Thread(target=late)
    thread.start()
    answers = [decision.evaluate({"a": pair, "b": pair}, deadline=monotonic() + 60) for _ in range(20)]
    thread.join()
    assert answers == [True] * 20
    assert len(ended) == 20


def test_an_evaluation_leaves_no_clock_behind() -> None:
    decision = compile_policy({"t.rego": f"{doubled(FORMS['arrays'])}\nx := a == b"}, entry_points=["t/x"]).decision(
        "t/x"
    )
    with pytest.raises(LimitError):
        decision.evaluate({"x": 1}, deadline=monotonic())
    assert pace.underway.clock is None
    assert len(dumps([[]] * pace.CHECK_EVERY * 2)) > pace.CHECK_EVERY


def test_what_an_evaluation_gave_is_written_by_a_clock_or_in_part() -> None:
    decision = compile_policy({"t.rego": doubled(FORMS["objects"])}, entry_points=["t/a"]).decision("t/a")
    value = decision.evaluate({"x": 1})
    assert excerpt(value, 12) == '{"l":{"l":{…'
    assert excerpt([1], 12) == "[1]"
    with pytest.raises(LimitError), pace.bounded(Context(deadline=monotonic())):
        dumps(value)


def test_an_explanation_shows_the_beginning() -> None:
    policy = compile_policy({"t.rego": doubled(FORMS["arrays"])}, entry_points=["t/a"])
    assert "gave [[[" in str(policy.explain("t/a", {"x": 1}))


@pytest.mark.parametrize("form", ["[{}]", '{{"a": {}}}', "{{{}}}"])
def test_types_of_nested_literals_are_compared_once(form: str) -> None:
    nested = "1"
    for _ in range(60):
        nested = form.format(nested)
    policy = compile_policy({"t.rego": f"package t\nx if {nested} == {nested}"}, entry_points=["t/x"])
    assert policy.decision("t/x").evaluate() is True


TEXT = "a" * pace.CHECK_EVERY * pace.CHARACTERS * 2
LARGE = {
    "control": ("x := input.text", {"text": "a"}, None),
    "JSON": ("x := json.marshal([input.text | some _ in numbers.range(1, 9)])", {"text": TEXT}, "limit of 1000000"),
    "JSON, escaped": ("x := json.marshal(input.text)", {"text": "\x01" * pace.CHECK_EVERY * 200}, "limit of 1000000"),
    "JSON, pretty": ("x := json.marshal_with_options([input.text, input.text], {})", {"text": TEXT}, "limit of"),
    "sprintf": ('x := sprintf("%v", [[[input.text | some _ in numbers.range(1, 9)]]])', {"text": TEXT}, "limit of"),
    "form": (
        "x := urlquery.encode_object({input.text: input.many})",
        {"text": "a" * 9999, "many": ["%"] * 999},
        "limit",
    ),
    "form, read": ("x := urlquery.decode_object(input.text)", {"text": "a&" * pace.CHECK_EVERY}, "deadline"),
    "replace": ('x := replace(input.text, "a", "b")', {"text": TEXT}, "deadline"),
    "replace_n": (
        "x := strings.replace_n(input.many, input.text)",
        {"text": "a" * pace.CHECK_EVERY, "many": {"ab": "", "ac": ""}},
        "deadline",
    ),
    "hash": ("x := crypto.sha256(input.text)", {"text": TEXT}, "deadline"),
    "multiplied": ("x := [y | some i in input.many; y := i * 1.5]", {"many": [10**999] * 99}, "deadline"),
    "glob, read": ("x := glob.match(input.glob, [], input.text)", {"glob": "*a" * 1000 + "b", "text": ""}, "deadline"),
    "glob": ("x := glob.match(input.glob, [], input.text)", {"glob": "[a-z]*" * 99, "text": TEXT}, "too long for such"),
    "schema": (
        "x := json.match_schema({}, input.schema)",
        {"schema": {"patternProperties": {rf"(\p{{L}}|\p{{N}})*{number}": {} for number in range(9)}}},
        "deadline",
    ),
    "template": (
        'x := regex.replace(input.text, input.groups, "$1")',
        {"groups": "^" + "(a*)" * 3000, "text": "a" * 2000},
        "too long for such",
    ),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", LARGE)
def test_one_call_with_large_arguments_is_ended_too(name: str) -> None:
    """By the deadline, which is over, or by a limit of its own; what does nothing large looks at no clock."""
    rule, document, why = LARGE[name]
    decision = compile_policy({"t.rego": f"package t\n{rule}"}, entry_points=["t/x"]).decision("t/x")
    pace.budget.left = pace.CHECK_EVERY
    if why is None:
        assert decision.evaluate(document, deadline=monotonic()) == "a"
    else:
        with pytest.raises(LimitError, match=why):
            decision.evaluate(document, deadline=monotonic() + (0 if why == "deadline" else 60))


def test_groups_cost_only_who_asks_for_them() -> None:
    """RE2 takes half a minute to find three thousand groups in this text, and no time to tell that it matches."""
    module = 'package t\nx := regex.template_match(input.groups, input.text, "{", "}")'
    decision = compile_policy({"t.rego": module}, entry_points=["t/x"]).decision("t/x")
    assert decision.evaluate({"groups": "{a*}" * 3000, "text": "a" * 2000}, deadline=monotonic() + 60) is True


@pytest.mark.parametrize("name", ["trim", "trim_left", "trim_right"])
@pytest.mark.parametrize("characters", ["ba", "b" * 99 + "a", ""])
def test_many_characters_are_cut_off_as_few_are(name: str, characters: str) -> None:
    decision = compile_policy({"t.rego": f"package t\nx := {name}(input.a, input.b)"}, entry_points=["t/x"])
    strip = {"trim": str.strip, "trim_left": str.lstrip, "trim_right": str.rstrip}[name]
    for text in ("", "a", "abab", "ab.ba", ".a.", "b..a"):
        assert decision.decision("t/x").evaluate({"a": text, "b": characters}) == strip(text, characters)
