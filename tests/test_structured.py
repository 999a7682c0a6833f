from base64 import b32encode
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
