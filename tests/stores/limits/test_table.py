"""The limits' kernel against a slow twin, and against four processes that all want the same keys."""

import multiprocessing
import random
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.queues import SimpleQueue  # noqa: TC003 - as plain as in any other test
from multiprocessing.synchronize import Barrier  # noqa: TC003
from pathlib import Path

import numpy as np
import pytest

from ztag_extauthz.stores.kernels import Cells, add, inlined
from ztag_extauthz.stores.limits import rate, table
from ztag_extauthz.stores.limits.plan import (
    ALLOWED,
    ASK,
    BUCKETS,
    COLUMNS,
    DENIED,
    EVICTIONS,
    LEFT,
    TAG,
    WAIT,
    WIDTH,
    plan_of,
    words,
)
from ztag_extauthz.stores.limits.rate_limits import table as shared_table
from ztag_extauthz.stores.shared import SharedMemory, shared_memory

SECOND = rate.NANOSECONDS
START = 1_800_000_000 * SECOND
LONGEST = SECOND
HOUR = 3600 * SECOND


class Twin:
    """The module's formula, one dictionary, no table."""

    def __init__(self, rates: list[rate.Rate], shadows: list[bool]) -> None:
        self.rates, self.shadows = rates, shadows
        self.cells: dict[int, int] = {}

    def take(self, tags: list[int], now: int) -> tuple[int, list[tuple[int, int, int]]]:
        answers, values = [], []
        for tag, one in zip(tags, self.rates, strict=True):
            floor = now if not one.fixed else (now // one.window + 1) * one.window
            value = max(self.cells.get(tag, 0), floor) + one.amount
            over = value - floor - one.ceiling
            wait = 0 if over <= 0 else floor - now if one.fixed else over
            answers.append((int(over > 0), wait, max(0, -over) // one.amount))
            values.append(value)
        refusing = [row for row, answer in enumerate(answers) if answer[0] and not self.shadows[row]]
        if refusing:
            return max(refusing, key=lambda row: (answers[row][1], -row)), answers
        self.cells.update(
            (tag, value) for tag, value, answer in zip(tags, values, answers, strict=True) if not answer[0]
        )
        return ALLOWED, answers


def random_rate(source: random.Random) -> rate.Rate:
    count, seconds = source.randint(1, 50), source.choice([1, 7, 60, 3600])
    return rate.Rate(count, seconds, source.randint(1, 12), fixed=source.random() < 0.25)


def test_equals_its_twin_on_ten_thousand_random_histories() -> None:
    """Each history: one to four limits of any kind, three keys a limit, jumps of time from nanoseconds to hours."""
    source = random.Random(7)  # noqa: S311
    cells = np.zeros(words(1 << 17), np.int64)
    for history in range(10_000):
        rates = [random_rate(source) for _ in range(source.randint(1, 4))]
        shadows = [source.random() < 0.2 for _ in rates]
        twin, plan, now = Twin(rates, shadows), plan_of(rates, shadows), START
        for _ in range(source.randint(1, 25)):
            now += source.choice([0, 1, 1000, SECOND // 10, SECOND, 60 * SECOND, 4000 * SECOND])
            tags = [1 + row + 8 * source.randrange(3) + (history << 8) for row in range(len(rates))]
            plan[:, TAG] = tags
            expected = twin.take(tags, now)
            assert (table.take(cells, plan, now), [tuple(row) for row in plan[:, DENIED:].tolist()]) == expected
        cells[:] = 0 if history % 500 == 499 else cells
    assert cells[EVICTIONS] == 0


def test_batch_equals_single() -> None:
    source = random.Random(1)  # noqa: S311
    rates, shadows = [random_rate(source) for _ in range(3)], [False, False, True]
    tags = np.array([[1 + row + 8 * source.randrange(5) for row in range(3)] for _ in range(2000)], np.int64)
    times = START + np.cumsum(np.array([source.randrange(SECOND) for _ in range(2000)], np.int64))
    one, many, answers = np.zeros(words(1024), np.int64), np.zeros(words(1024), np.int64), np.zeros(2000, np.int64)
    table.take_many(many, plan_of(rates, shadows), tags, times, answers)
    plan, singles = plan_of(rates, shadows), []
    for row, now in zip(tags, times.tolist(), strict=True):
        plan[:, TAG] = row
        singles.append(table.take(one, plan, now))
    assert singles == answers.tolist()
    assert (one == many).all()
    assert len(set(singles)) > 1


def test_evicts_the_cell_nearest_to_its_end_and_counts_it() -> None:
    cells = np.zeros(words(1), np.int64)
    plan = plan_of([rate.parse("1/minute burst 5")], [False])
    count = (cells.size - BUCKETS) // (2 * WIDTH)
    for turn in range(WIDTH + 1):
        plan[0, TAG] = 1 + turn * count
        table.take(cells, plan, START + turn)
    assert cells[EVICTIONS] == 1
    plan[0, TAG] = 1 + count
    table.take(cells, plan, START + WIDTH + 1)
    assert plan[0, LEFT] == 3, "a younger key kept its count"


def test_a_dead_holder_of_a_lock_stops_nobody() -> None:
    cells = np.zeros(words(1), np.int64)
    cells[16 : 16 + 1024] = 1
    plan = plan_of([rate.parse("1/minute")], [False])
    plan[0, TAG] = 9
    assert [table.take(cells, plan, START) for _ in range(2)] == [ALLOWED, 0]


def test_a_lease_is_spent_permit_by_permit_and_ends() -> None:
    cells = np.zeros(words(1), np.int64)
    plan = plan_of([rate.parse("10/second")] * 2, [False, False])
    plan[:, TAG] = 5, 6
    assert table.spend(cells, plan, START, LONGEST) == ASK
    plan[:, LEFT], plan[:, WAIT], plan[:, DENIED] = (3, 2), SECOND, 0
    table.settle(cells, plan, START)
    assert [table.spend(cells, plan, START, LONGEST) for _ in range(3)] == [ALLOWED, ALLOWED, ASK]
    plan[:, LEFT], plan[:, WAIT], plan[:, DENIED] = 3, SECOND, 0
    table.settle(cells, plan, START)
    assert table.spend(cells, plan, START + 2 * SECOND, LONGEST) == ASK


def test_a_refusal_is_kept_until_its_end() -> None:
    cells = np.zeros(words(1), np.int64)
    plan = plan_of([rate.parse("10/second")], [False])
    plan[:, TAG] = 5
    plan[:, WAIT], plan[:, DENIED] = SECOND, 1
    table.settle(cells, plan, START)
    assert table.spend(cells, plan, START + SECOND // 2, LONGEST) == 0
    assert abs(int(plan[0, WAIT]) - SECOND // 2) < 1_000_000
    assert table.spend(cells, plan, START + SECOND, LONGEST) == ASK


def test_a_refusal_of_before_the_clock_was_set_back_is_none() -> None:
    cells = np.zeros(words(1), np.int64)
    plan = plan_of([rate.parse("10/second")], [False])
    plan[:, TAG] = 5
    plan[:, WAIT], plan[:, DENIED] = SECOND, 1
    table.settle(cells, plan, START)
    assert table.spend(cells, plan, START - HOUR, LONGEST) == ASK


def allowed(text: str, *times: int) -> list[bool]:
    """Return what one key is told at these times."""
    cells, plan = np.zeros(words(1), np.int64), plan_of([rate.parse(text)], [False])
    plan[0, TAG] = 9
    return [table.take(cells, plan, time) == ALLOWED for time in times]


def test_a_clock_set_back_leaves_one_request_of_a_burst_and_the_rate() -> None:
    """What was a moment ago is two hours ahead: nobody may be refused for two hours, and nobody gets a second burst."""
    back = START - 2 * HOUR
    assert allowed("10/second burst 5", START, back, back, back + SECOND // 10, back + SECOND // 10) == [
        True,
        True,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize("back", [2 * HOUR, 25 * HOUR])
def test_a_clock_set_back_leaves_the_count_of_a_window(back: int) -> None:
    midnight = START // (24 * HOUR) * 24 * HOUR
    before = midnight + HOUR
    times = (before, before, before - back, before - back + SECOND, before - back + 2 * SECOND)
    assert allowed("3/day fixed", *times) == [True, True, True, False, False]


@pytest.mark.parametrize("text", ["10/second burst 1", "1/minute fixed"])
def test_who_read_the_clock_a_moment_earlier_changes_nothing(text: str) -> None:
    now = START // (60 * SECOND) * 60 * SECOND
    assert allowed(text, now, now - 1000, now + 1000) == [True, False, False]


KEYS = 100
LIMIT = rate.parse("5/second burst 10")
STEP = 10_000
"""Nanoseconds by which each look at the clock moves it."""
END = START + 3 * SECOND // 2


@inlined
def look(clock: Cells) -> int:
    """Return the time that all workers share: it passes only while they ask, however busy the machine is."""
    return add(clock, 0, STEP) + STEP


@dataclass
class Tally:
    allowed: int
    first: int
    """The earliest time that was passed in."""
    answered: int
    """When the first answer was there."""
    last: int


def hammer(memory: SharedMemory, seed: int, together: "Barrier", results: "SimpleQueue[list[Tally]]") -> None:
    cells, clock = shared_table(memory, "limits", 1 << 12), clock_in(memory)
    plan, source = plan_of([LIMIT], [False]), random.Random(seed)  # noqa: S311
    tallies = [Tally(0, 1 << 62, 1 << 62, 0) for _ in range(KEYS)]
    together.wait()
    while (now := look(clock)) < END:
        tally = tallies[key := source.randrange(KEYS)]
        plan[0, TAG] = 1 + key
        tally.allowed += table.take(cells, plan, now) == ALLOWED
        tally.first, tally.last = min(tally.first, now), now
        tally.answered = min(tally.answered, look(clock))
    results.put(tallies)


def clock_in(memory: SharedMemory) -> Cells:
    return np.frombuffer(memory("clock", 64, np.int64(START).tobytes()), np.int64)


@pytest.mark.parametrize("workers", [2, 4])
def test_all_workers_together_allow_what_one_would(tmp_path: Path, workers: int) -> None:
    """Forkserver, as the supervisor starts them: within one request of the allowance, on each of 100 keys.

    A worker may be put aside between looking at the clock and asking, so when a key's time began is known only from
    both sides.
    """
    context = multiprocessing.get_context("forkserver")
    with shared_memory(tmp_path) as memory:
        results: SimpleQueue[list[Tally]] = context.SimpleQueue()
        together = context.Barrier(workers)
        processes = [context.Process(target=hammer, args=(memory, seed, together, results)) for seed in range(workers)]
        for process in processes:
            process.start()
        everybody = [results.get() for _ in processes]
        for process in processes:
            process.join()
    for tallies in zip(*everybody, strict=True):
        allowed, last = sum(one.allowed for one in tallies), max(one.last for one in tallies)
        assert allowed <= LIMIT.burst + (last - min(one.first for one in tallies)) / LIMIT.amount
        assert allowed >= LIMIT.burst + (last - min(one.answered for one in tallies)) / LIMIT.amount - 1


def test_lost_updates_would_show() -> None:
    """Every allowed charge moved the cell: with no pause, the cell's growth is the number of charges."""
    cells = np.zeros(words(1), np.int64)
    plan = plan_of([rate.parse("1000000/second")], [False])
    plan[0, TAG] = 3
    grown = []
    for _ in range(100):
        table.take(cells, plan, START)
        grown.append(int(cells[BUCKETS:].max()))
    assert {after - before for before, after in pairwise(grown)} == {1000}
    assert plan.shape == (1, COLUMNS)
