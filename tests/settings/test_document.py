"""Whatever a file holds, reading it ends with values or with mistakes."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ztag_extauthz.errors import SettingsError
from ztag_extauthz.settings.document import MAX_BYTES, parse, spell


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        document = parse(text, "f.yaml")
    except SettingsError as error:
        told = [mistake.where for mistake in error.mistakes]
    else:
        told = [document.origin(())]
    assert told
    assert all(where.startswith("f.yaml") for where in told)


@given(st.text(alphabet="&*!<:-[]{}a \n'\"|>#%@`,?0.~", max_size=60))
def test_any_punctuation_is_read_or_refused(text: str) -> None:
    with suppress(SettingsError):
        parse(text, "f.yaml")


def test_aliases_that_multiply_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(SettingsError, match="aliases expand without end"):
        parse("\n".join(lines), "f.yaml")


def test_few_aliases_are_followed() -> None:
    document = parse("a: &a {b: 1}\nc: *a\n", "f.yaml")
    assert document.value == {"a": {"b": 1}, "c": {"b": 1}}
    assert document.origin(("c",)) == "f.yaml:2"


@pytest.mark.parametrize("text", ["[" * 5000, "a: " + "[" * 400 + "]" * 400, "x: 1\n" * 3 + "{" * 3000])
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        parse(text, "f.yaml")


def test_long_files_are_refused() -> None:
    with pytest.raises(SettingsError, match="longer than"):
        parse("#" * (MAX_BYTES + 1), "f.yaml")


def test_origins_are_the_lines_of_the_keys() -> None:
    document = parse("a:\n  - b: 1\n    c: 2\n", "f.yaml")
    assert document.origin(("a", 0, "c")) == "f.yaml:3"
    assert document.origin(("a", 0, "missing")) == "f.yaml:2"
    assert document.origin(("missing",)) == "f.yaml:1"


def test_paths_are_spelt_as_people_write_them() -> None:
    assert spell(("authentication", 0, "issuer")) == "authentication[0].issuer"


@pytest.mark.parametrize("value", ["2020-99-99", "!!int x", "!!float x"])
def test_values_that_are_none_of_their_kind_are_told(value: str) -> None:
    with pytest.raises(SettingsError, match=r"f\.yaml:1: a: is no (timestamp|int|float)"):
        parse(f"a: {value}", "f.yaml")


@pytest.mark.parametrize("value", ["!!bool foo", "!!timestamp foo", "!!int foo", "!!float foo", "!!binary 'a'"])
def test_a_value_that_is_not_of_its_tag_is_a_mistake(value: str) -> None:
    with pytest.raises(SettingsError, match=r"ztag.yaml:1"):
        parse(f"x: {value}\n", "ztag.yaml")


@pytest.mark.timeout(30)
@pytest.mark.parametrize("piece", ["[],", "{},", "a,", "[", "{a: "])
def test_a_file_that_is_slow_to_read_is_refused(piece: str) -> None:
    with pytest.raises(SettingsError):
        parse("[" + piece * (1_000_000 // len(piece)) + "]", "f.yaml")
    with pytest.raises(SettingsError):
        parse("[" + piece * ((MAX_BYTES - 2) // len(piece)) + "]", "f.yaml")
