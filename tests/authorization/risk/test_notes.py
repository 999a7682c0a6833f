"""Notes come back through proxies: only ours count, once, and not for long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ztag_extauthz.authorization.risk.notes import LIFETIME, MAX_HEARD, NoteError, Notes

CONTENT = bytes(range(16))
NOW = 1_800_000_000.0


def notes(secret: bytes = b"s" * 32) -> Notes:
    return Notes(secret, len(CONTENT))


def test_a_note_is_read_by_whoever_shares_the_secret() -> None:
    note = notes().write(CONTENT, NOW)
    assert notes().read(note, NOW + LIFETIME) == CONTENT
    with pytest.raises(NoteError, match="not ours"):
        notes(b"t" * 32).read(note, NOW)


def test_a_note_counts_once_and_the_next_of_the_same_caller_counts_too() -> None:
    both, reader = notes(), notes()
    first, second = both.write(CONTENT, NOW), both.write(CONTENT, NOW)
    assert reader.read(first, NOW) == reader.read(second, NOW) == CONTENT
    for again in (first, second):
        with pytest.raises(NoteError, match="heard already"):
            reader.read(again, NOW)


def test_an_old_note_counts_for_nothing() -> None:
    with pytest.raises(NoteError, match="too old"):
        notes().read(notes().write(CONTENT, NOW), NOW + LIFETIME + 1)


def test_memory_is_bounded_and_free_again_after_a_while() -> None:
    writer, reader = notes(), notes()
    for _ in range(MAX_HEARD):
        reader.read(writer.write(CONTENT, NOW), NOW)
    with pytest.raises(NoteError, match="more than are remembered"):
        reader.read(writer.write(CONTENT, NOW), NOW)
    later = NOW + LIFETIME + 1
    assert reader.read(writer.write(CONTENT, later), later) == CONTENT


@given(st.text(max_size=100) | st.integers(0, 70).map(chr))
def test_what_is_no_note_is_told(text: str) -> None:
    with pytest.raises(NoteError):
        notes().read(text, NOW)


@given(st.integers(0, 8 * 48 - 1))
def test_a_note_with_a_bit_changed_is_not_ours(bit: int) -> None:
    from base64 import b64decode, b64encode

    text = bytearray(b64decode(notes().write(CONTENT, NOW)))
    text[bit // 8] ^= 1 << bit % 8
    with pytest.raises(NoteError, match="not ours"):
        notes().read(b64encode(text).decode(), NOW)
