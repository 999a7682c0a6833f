"""A table that nobody locks: whatever is torn, forged or moved is no value."""

import multiprocessing
import time
from hashlib import blake2b
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ztag_extauthz.component import Memory, private_memory
from ztag_extauthz.stores.shared import shared_memory
from ztag_extauthz.stores.slots import NOWHERE, OVERHEAD, WAYS, Slots

NOW, LATER = 1_700_000_000.0, 1_700_000_060.0


def digest(key: object) -> bytes:
    return blake2b(repr(key).encode(), digest_size=32).digest()


def table(entries: int = 64, slot_bytes: int = 256, memory: Any = private_memory) -> Slots:
    return Slots(memory, "test", entries, slot_bytes)


def put(slots: Slots, key: object, value: bytes = b"v", now: float = NOW, ends: float = LATER) -> Any:
    return slots.put(digest(key), value, now, ends)


def value(slots: Slots, key: object) -> bytes | None:
    found = slots.get(digest(key))
    return None if found is None else found[0]


def test_what_is_put_is_there() -> None:
    slots = table()
    assert value(slots, "a") is None
    put(slots, "a", b"one")
    put(slots, "b", b"")
    assert (value(slots, "a"), value(slots, "b"), value(slots, "c")) == (b"one", b"", None)
    put(slots, "a", b"two")
    assert value(slots, "a") == b"two"
    assert slots.entries == 2


def test_a_value_that_is_too_large_is_not_kept() -> None:
    slots = table(slot_bytes=256)
    assert put(slots, "a", bytes(256 - OVERHEAD)) is not None
    assert put(slots, "b", bytes(257 - OVERHEAD)) is None
    assert value(slots, "b") is None


def test_all_processes_with_one_memory_have_one_table(tmp_path: Path) -> None:
    with shared_memory(tmp_path) as memory:
        put(table(memory=memory), "a", b"one")
        other = table(memory=memory)
        assert value(other, "a") == b"one"
        assert other.seed == table(memory=memory).seed
        assert value(table(memory=memory, slot_bytes=512), "a") is None


@pytest.mark.parametrize("damage", ["value", "digest", "length", "check"])
def test_never_4_a_slot_that_was_torn_is_no_value(damage: str) -> None:
    content = bytearray()

    def memory(_: str, size: int, initial: bytes = b"") -> memoryview:
        content[:] = initial.ljust(size, b"\0")
        return memoryview(content)

    slots = table(entries=16, memory=memory)
    put(slots, "a", b"some value")
    start = content.index(digest("a"))
    place = {"digest": 3, "length": 33, "value": 38, "check": 50}[damage]
    assert value(slots, "a") == b"some value"
    content[start + place] ^= 1
    assert value(slots, "a") is None
    content[start + place] ^= 1
    assert value(slots, "a") == b"some value"


def test_never_4_a_slot_is_no_value_for_another_key_with_its_tag() -> None:
    slots = table(entries=16)
    one = digest("a")
    other = one[:16] + digest("b")[16:]
    slots.put(one, b"alice's", NOW, LATER)
    assert slots.get(other) is None


def test_never_4_two_who_write_one_slot_at_once_leave_one_value_or_none() -> None:
    """Every mixture of two writes, byte by byte."""
    contents = []
    for key, text in (("a", b"alice's"), ("b", b"bob's")):
        memory = private_memory("", 1 << 14, b"seed" * 8)
        slots = Slots(lambda *_, block=memory: block, "test", 16, 256)
        slots.put(digest(key), text, NOW, LATER)
        contents.append(bytes(memory))
    for cut in range(len(contents[0])):
        mixed = memoryview(bytearray(contents[0][:cut] + contents[1][cut:]))
        slots = Slots(lambda *_, block=mixed: block, "test", 16, 256)
        assert value(slots, "a") in (None, b"alice's")
        assert value(slots, "b") in (None, b"bob's")


def write_for_ever(memory: Memory) -> None:
    slots = table(entries=16, memory=memory)
    while True:
        for key in range(40):
            put(slots, key, repr(key).encode() * 20)


def test_a_worker_that_dies_while_writing_leaves_a_table_that_works(tmp_path: Path) -> None:
    with shared_memory(tmp_path) as memory:
        slots = table(entries=16, memory=memory)
        writer = multiprocessing.get_context("spawn").Process(target=write_for_ever, args=(memory,), daemon=True)
        writer.start()
        while slots.entries < 16:
            time.sleep(0.001)
        writer.kill()
        writer.join()
        for key in range(40):
            assert value(slots, key) in (None, repr(key).encode() * 20)
            put(slots, key, b"again")
            assert value(slots, key) == b"again"


def test_what_has_ended_makes_room_first() -> None:
    slots = table(entries=WAYS)
    for key in range(WAYS):
        put(slots, key, ends=NOW + 1 if key == 5 else LATER)
    placed = put(slots, "new", now=NOW + 10)
    assert (placed.evicted, slots.entries) == (False, WAYS)
    assert value(slots, 5) is None
    assert put(slots, "newer", now=NOW + 10).evicted


def test_what_is_asked_for_again_stays() -> None:
    slots = table(entries=WAYS)
    for key in range(WAYS):
        put(slots, key)
    hot = range(0, WAYS, 2)
    for number in range(200):
        for key in hot:
            assert value(slots, key) is not None
        put(slots, ("once", number))
    assert all(value(slots, key) is not None for key in hot)


def test_what_is_in_no_slot_may_be_touched() -> None:
    slots = table(entries=16)
    put(slots, "a")
    slots.touch(NOWHERE)
    assert (value(slots, "a"), slots.entries) == (b"v", 1)
    assert table(entries=16).seed != slots.seed


def exact_lru(trace: list[int], capacity: int) -> float:
    kept: dict[int, None] = {}
    hits = 0
    for number, key in enumerate(trace):
        if key in kept:
            del kept[key]
            hits += number >= len(trace) // 2
        kept[key] = None
        if len(kept) > capacity:
            del kept[next(iter(kept))]
    return hits / (len(trace) // 2)


@pytest.mark.parametrize("part", [1, 2, 4])
def test_it_hits_about_as_often_as_an_exact_lru(part: int) -> None:
    dice, keys = Random(7), 2000  # noqa: S311 - which keys, is no secret
    trace = dice.choices(range(keys), [1 / (rank + 1) for rank in range(keys)], k=20_000)
    slots, hits = table(entries=keys // part), 0
    for number, key in enumerate(trace):
        if value(slots, key) is not None:
            hits += number >= len(trace) // 2
        else:
            put(slots, key)
    assert hits / (len(trace) // 2) > exact_lru(trace, keys // part) - 0.02
