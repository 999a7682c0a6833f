import pytest
from hypothesis import given
from hypothesis import strategies as st

from ztag_extauthz.fields import is_name, is_value, visible


@pytest.mark.parametrize("name", ["x-user", "X_User", "a", "!#$%&'*+-.^_`|~"])
def test_tokens_are_names(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", ["", "a b", ":path", "a:b", "é", "a\n", "a\0", "a,b", "(a)"])
def test_anything_else_is_not(name: str) -> None:
    assert not is_name(name)


@pytest.mark.parametrize("value", ["", "a b", "a\tb", "é", "🔑", '"'])
def test_text_is_a_value(value: str) -> None:
    assert is_value(value)


@pytest.mark.parametrize("value", ["a\nb", "a\r", "\0", "\x7f", "\x1b[31m", "\ud800"])
def test_control_characters_are_not(value: str) -> None:
    assert not is_value(value)


@given(st.text(st.characters(codec="utf-8")))
def test_visible_text_is_a_value_without_spaces(text: str) -> None:
    shown = visible(text)
    assert is_value(shown)
    assert shown.isascii()
    assert " " not in shown


def test_visible_text_stays_readable() -> None:
    assert visible("https://issuer.example/a?b=c,d") == "https://issuer.example/a?b=c,d"
    assert visible("a b%\n") == "a%20b%25%0A"
