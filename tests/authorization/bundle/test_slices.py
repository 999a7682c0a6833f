import gc
import json
import sys
from itertools import pairwise
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ztag_extauthz.authorization.bundle import slices
from ztag_extauthz.rego.values import Number

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def whole(text: str) -> Any:
    """What C code makes of it in one go."""
    return slices._DECODER.decode(text)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "LARGE", 0)


@given(VALUES, st.sampled_from([None, 1]))
def test_a_document_is_read_as_in_one_go(value: Any, indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    assert slices.loads(text) == whole(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "{",
        "[",
        '{"a"',
        '{"a":',
        '{"a": 1',
        '{"a": 1,',
        '{"a": 1,}',
        "[1,",
        "[1,]",
        "[1 2]",
        '{"a" 1}',
        "{a: 1}",
        "{1: 2}",
        "1 2",
        "{} x",
        "[] ]",
        '{"a": nope}',
        '["\\x"]',
        '{"a\n": 1}',
        "[NaN]",
        "-",
        '{"a": 1 "b": 2}',
        "\ufeff{}",
    ],
)
def test_what_is_no_json_is_refused_as_in_one_go(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as ours:
        slices.loads(text)
    with pytest.raises(ValueError, match=r".") as theirs:
        whole(text)
    assert getattr(ours.value, "msg", str(ours.value)).partition(" (")[0].split()[0] in str(theirs.value)


def test_numbers_keep_their_text() -> None:
    (number, other) = slices.loads("[1.50, 1e3]")
    assert (type(number), number.text, other.text) == (Number, "1.50", "1e3")


class Witness(list[Any]):
    """Counts those that are left."""

    left = 0

    def __init__(self) -> None:
        super().__init__()
        Witness.left += 1

    def __del__(self) -> None:
        Witness.left -= 1


def witnesses() -> list[Any]:
    assert not Witness.left
    return [{"users": {str(number): {"roles": Witness()} for number in range(100)}, "x": [Witness()]}]


def test_what_nobody_holds_is_freed() -> None:
    owned = witnesses()
    kept = owned[0]["users"]["7"]
    slices.free(owned)
    assert Witness.left == 1
    assert list(kept) == ["roles"]


def test_one_member_at_a_time_is_freed() -> None:
    owned = witnesses()
    left = [Witness.left]

    def step(frame: FrameType, *_: object) -> None:
        if frame.f_code is slices.free.__code__:
            left.append(Witness.left)

    sys.setprofile(step)
    try:
        slices.free(owned)
    finally:
        sys.setprofile(None)
    left.append(Witness.left)
    assert (left[0], left[-1]) == (101, 0)
    assert max(before - after for before, after in pairwise(left)) == 1


def test_what_somebody_holds_is_left_as_it_is() -> None:
    users = {"ann": {"a": 1, "b": 2}, "bob": {"a": 1, "b": 2}}
    slices.free([{"users": users, "other": {}}])
    assert users == {"ann": {"a": 1, "b": 2}, "bob": {"a": 1, "b": 2}}


def test_the_collector_and_the_switches_are_as_before() -> None:
    before = sys.getswitchinterval()
    with slices.beside():
        with slices.beside():
            assert not gc.isenabled()
        assert not gc.isenabled()
        assert sys.getswitchinterval() == pytest.approx(slices.SWITCH)
    assert gc.isenabled()
    assert sys.getswitchinterval() == pytest.approx(before)
    gc.unfreeze()
