import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ztag_extauthz.authorization.input.go_json import loads
from ztag_extauthz.authorization.input.parse_error import ParseError

leaves = st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"))
documents = st.recursive(
    leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner)
)


@given(documents)
def test_a_written_document_comes_back(document: Any) -> None:
    assert loads(json.dumps(document)) == document
    assert loads(json.dumps(document, ensure_ascii=False)) == document


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "{",
        "[1,]",
        "{}x",
        "{} {}",
        "NaN",
        "Infinity",
        "-Infinity",
        '"\t"',
        '"\n"',
        "\ufeff{}",
        "01",
        "1.",
        "+1",
        "'a'",
        "[" * 20000 + "]" * 20000,
        '{"a" 1}',
        "nul",
        "1e",
        '"\\x"',
        "1e99999999999999999999",
    ],
)
def test_what_go_refuses_is_refused(text: str) -> None:
    with pytest.raises(ParseError):
        loads(text)


def test_a_hundred_levels_are_not_too_deep() -> None:
    assert loads("[" * 100 + "]" * 100)


@pytest.mark.parametrize(
    "text", ["9007199254740993", "1e400", "0.1", "123456789012345678901234567890", "1.0", "-0.5e-7"]
)
def test_numbers_are_exact(text: str) -> None:
    assert Decimal(loads(text)) == Decimal(text)


@pytest.mark.parametrize("text", ["9" * 1_000_000, "1e900000000", "-1e-5000", "0." + "1" * 5000, "0e99999"])
def test_s34_a_number_that_is_too_long_to_calculate_with_is_refused_at_once(text: str) -> None:
    with pytest.raises(ParseError):
        loads(text)


@pytest.mark.parametrize("inner", ["", "1", '"\\ud800"', "{}"])
@pytest.mark.parametrize("depth", [101, 500, 990, 100_000])
def test_what_is_nested_too_deeply_is_refused(inner: str, depth: int) -> None:
    with pytest.raises(ParseError):
        loads("[" * depth + inner + "]" * depth)
    with pytest.raises(ParseError):
        loads('{"a":' * depth + (inner or "1") + "}" * depth)


def test_the_last_of_two_equal_names_wins() -> None:
    assert loads('{"a": 1, "a": 2}') == {"a": 2}


@pytest.mark.parametrize(
    ("text", "value"),
    [(r'"\ud800"', "\ufffd"), (r'"\ud83d\ude00"', "😀"), (r'["\udc00a", {"\ud800": 1}]', ["\ufffda", {"\ufffd": 1}])],
)
def test_half_a_surrogate_pair_is_replaced(text: str, value: Any) -> None:
    assert loads(text) == value
