from base64 import b32decode, b32encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.authentication.parts import conformance
from ztag_extauthz.structured import (
    Date,
    DisplayString,
    StructuredFieldError,
    Token,
    parse_dictionary,
    parse_item,
    parse_list,
    write_dictionary,
    write_item,
    write_list,
)

PARSERS: dict[str, Any] = {"item": parse_item, "list": parse_list, "dictionary": parse_dictionary}


def plain(value: Any) -> Any:  # noqa: PLR0911 - one for each type
    """Return a value as the suite writes it."""
    match value:
        case Token(name):
            return {"__type": "token", "value": name}
        case Date(seconds):
            return {"__type": "date", "value": seconds}
        case DisplayString(text):
            return {"__type": "displaystring", "value": text}
        case bytes():
            return {"__type": "binary", "value": b32encode(value).decode()}
        case dict():
            return [[key, plain(entry)] for key, entry in value.items()]
        case list() | tuple():
            return [plain(entry) for entry in value]
        case _:
            return value


def same(found: Any, expected: Any) -> bool:
    return repr(plain(found)) == repr(expected) or plain(found) == expected


def test_every_published_case_is_right() -> None:
    cases = conformance("structured-fields.json")["parse"]
    wrong = []
    for case in cases:
        try:
            found = PARSERS[case["header_type"]](", ".join(case["raw"]))
            right = not case.get("must_fail") and same(found, case["expected"])
        except StructuredFieldError:
            right = bool(case.get("must_fail") or case.get("can_fail"))
        if not right:
            wrong.append(case)
    assert wrong == []
    assert len(cases) == 1591


WRITERS: dict[str, Any] = {"item": write_item, "list": write_list, "dictionary": write_dictionary}


def bare(value: Any) -> Any:
    """Return a bare value as ours of what the suite writes."""
    if not isinstance(value, dict):
        return value
    match value["__type"], value["value"]:
        case "token", name:
            return Token(name)
        case "date", seconds:
            return Date(seconds)
        case "displaystring", text:
            return DisplayString(text)
        case _, text:
            return b32decode(text)


def ours(value: Any, kind: str) -> Any:
    """Return a whole value as ours of what the suite writes."""
    if kind == "list":
        return [ours(member, "item") for member in value]
    if kind == "dictionary":
        return {name: ours(member, "item") for name, member in value}
    inner, parameters = value
    within = [ours(item, "item") for item in inner] if isinstance(inner, list) else bare(inner)
    return within, {name: bare(parameter) for name, parameter in parameters}


def test_every_published_case_is_written_right() -> None:
    """The 544 cases of writing alone, and whatever of the others can be read is written as the suite has it."""
    suite = conformance("structured-fields.json")
    wrong, written = [], 0
    for case in suite["serialise"] + [case for case in suite["parse"] if not case.get("must_fail")]:
        try:
            text = WRITERS[case["header_type"]](ours(case["expected"], case["header_type"]))
            right = not case.get("must_fail") and [text] == (case.get("canonical", case.get("raw")) or [""])
            written += right
        except StructuredFieldError:
            right = bool(case.get("must_fail") or case.get("can_fail"))
        if not right:
            wrong.append(case)
    assert wrong == []
    assert len(suite["serialise"]) == 544
    assert written > 500


scalars = (
    st.booleans()
    | st.integers(-(10**15) + 1, 10**15 - 1)
    | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8)
    | st.binary(max_size=8)
    | st.builds(DisplayString, st.text(st.characters(codec="utf-8"), max_size=8))
    | st.builds(Date, st.integers(0, 10**10))
)
keys = st.from_regex(r"[a-z*][a-z0-9_.*-]{0,6}", fullmatch=True)
items = st.tuples(scalars, st.dictionaries(keys, scalars, max_size=3))


@given(
    st.dictionaries(keys, items | st.tuples(st.lists(items, max_size=3), st.dictionaries(keys, scalars, max_size=2)))
)
def test_what_is_written_can_be_read_again(members: dict[str, Any]) -> None:
    found = parse_dictionary(write_dictionary(members))
    assert found == {name: tuple(member) for name, member in members.items()}
    assert parse_list(write_list(list(members.values()))) == list(members.values())


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 1e12, 999999999999.9997, 10**15, "é", "\n", Token(""), Token("a b"), None]
)
def test_what_no_field_can_have_is_not_written(value: Any) -> None:
    with pytest.raises(StructuredFieldError):
        write_item((value, {}))


@given(st.text('a1"\\;=,():?%@-. *é', max_size=40), st.sampled_from(list(PARSERS)))
def test_whatever_comes_is_read_or_refused(text: str, kind: str) -> None:
    try:
        PARSERS[kind](text)
    except StructuredFieldError:
        assert True


@pytest.mark.parametrize("text", ["", " ", "\t1", "1,", "é"])
def test_what_is_no_item(text: str) -> None:
    with pytest.raises(StructuredFieldError):
        parse_item(text)
