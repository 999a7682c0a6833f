"""The keyed hash of keys."""

from hypothesis import given
from hypothesis import strategies as st

from ztag_extauthz.stores.digest import MASK, hasher


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_has_a_place(text: str) -> None:
    """Lone surrogates too: a header may hold any byte."""
    assert 0 < hasher(b"seed")(text) <= MASK


def test_depends_on_the_key() -> None:
    assert hasher(b"one")("x") == hasher(b"one")("x") != hasher(b"two")("x")
