import tracemalloc
from itertools import count

from ztag_extauthz.envoy.remembered import MAX_PARTS, MAX_TEXT, Remembered, RememberedOf


def encode(*key: object) -> bytes:
    return repr(key).encode()


def test_what_was_made_is_given_again() -> None:
    made: list[str] = []

    def make(text: str) -> bytes:
        made.append(text)
        return text.encode()

    remembered = Remembered(make)
    assert [remembered("a"), remembered("b"), remembered("a")] == [b"a", b"b", b"a"]
    assert made == ["a", "b"]


def test_a_long_text_is_not_kept() -> None:
    remembered = Remembered(encode)
    for key in ("x" * (MAX_TEXT + 1), ("a", "x" * (MAX_TEXT + 1))):
        assert remembered(key) == encode(key)
    assert remembered.held_bytes == 0


def test_what_is_held_is_bounded_by_bytes() -> None:
    remembered = Remembered(encode, max_bytes=100_000)
    for number in range(5_000):
        name = f"{number:0>200}"
        assert remembered(frozenset({name}), (name, "b")) == encode(frozenset({name}), (name, "b"))
        assert 0 < remembered.held_bytes <= 100_000


def test_the_bytes_that_it_counts_are_no_less_than_those_it_takes() -> None:
    numbers = count()
    remembered = Remembered(encode)
    tracemalloc.start()
    try:
        while remembered.held_bytes < 500_000:
            remembered(f"x-{next(numbers)}", "v")
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken <= remembered.held_bytes


def test_a_part_that_is_larger_than_all_is_not_kept() -> None:
    remembered = Remembered(lambda _: b"x" * 2_000, max_bytes=1_000)
    assert len(remembered("a")) == 2_000
    assert remembered.held_bytes == 0


def test_parts_of_these_very_values_are_made_once() -> None:
    made: list[object] = []

    def make(one: object, other: object) -> list[bytes]:
        made.append((one, other))
        return [repr((one, other)).encode()]

    remembered = RememberedOf(make)
    alice, bob = ["alice"], ["bob"]
    for _ in range(9):  # kept from the second time on
        for one, other in ((alice, bob), (bob, alice), (alice, None)):
            assert remembered(one, other) == [repr((one, other)).encode()]
    assert len(made) == 6
    remembered(["alice"], bob)  # alike, but another one
    assert len(made) == 7


def test_parts_of_what_is_asked_once_are_not_kept() -> None:
    remembered = RememberedOf(lambda one, _: [one[0]])
    held = [[b"%d" % number] for number in range(1000)]
    for one in held:
        remembered(one, None)
    assert len(remembered) == 0


def test_another_value_in_the_same_place_of_memory_gets_parts_of_its_own() -> None:
    remembered = RememberedOf(lambda one, _: [one[0].encode()])
    for number in range(10_000):  # each list would be where the one before it was, if nobody held that
        assert remembered([str(number)], None) == [str(number).encode()]


def test_parts_are_bounded_and_what_is_in_use_stays() -> None:
    remembered = RememberedOf(lambda one, _: [one[0]], max_bytes=100_000)
    hot = [b"hot"]
    remembered(hot, None)
    first = remembered(hot, None)
    for _ in range(2_000):
        remembered([b"x" * 400], None)
        assert remembered(hot, None) is first
        assert len(remembered) <= 100
    assert len(remembered([b"x" * (MAX_PARTS + 1)], None)[0]) > MAX_PARTS
    assert len(remembered) <= 100
