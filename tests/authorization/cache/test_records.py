import pytest
from hypothesis import given
from hypothesis import strategies as st

from ztag_extauthz.authorization.cache.records import Damage, Records

NOW = 1_800_000_000.0
ASKED, OTHER = bytes(range(32)), bytes(range(1, 33))
OURS = Records(b"s" * 32)
GOOD = OURS.write(ASKED, b"allow", NOW + 60)


def test_what_was_written_is_read() -> None:
    assert OURS.read(ASKED, GOOD, NOW) == b"allow"
    assert OURS.read(ASKED, OURS.write(ASKED, b"", NOW + 1), NOW) == b""


@pytest.mark.parametrize("size", range(len(GOOD)))
def test_a_truncated_answer_is_none(size: int) -> None:
    assert OURS.read(ASKED, GOOD[:size], NOW) is Damage.TRUNCATED


def test_an_answer_to_another_question_is_none() -> None:
    assert OURS.read(OTHER, GOOD, NOW) is Damage.SWAPPED


def test_an_answer_written_with_another_secret_is_none() -> None:
    assert OURS.read(ASKED, Records(b"t" * 32).write(ASKED, b"allow", NOW + 60), NOW) is Damage.FORGED


@pytest.mark.parametrize("later", [60, 61, 1e9])
def test_an_answer_replayed_past_its_life_is_none(later: float) -> None:
    assert OURS.read(ASKED, GOOD, NOW + later) is Damage.EXPIRED


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_forged_byte_anywhere_is_found(place: int, change: int) -> None:
    forged = bytearray(GOOD)
    forged[place] ^= change
    assert OURS.read(ASKED, bytes(forged), NOW) in {Damage.FORGED, Damage.TRUNCATED}


@given(st.binary(max_size=200))
def test_whatever_redis_says_is_read_or_refused(text: bytes) -> None:
    assert isinstance(OURS.read(ASKED, text, NOW), Damage)
