"""The kernel of concurrency limits against a slow twin, and against processes that all want the same places."""

import multiprocessing
import random
from multiprocessing.queues import SimpleQueue  # noqa: TC003 - as plain as in any other test
from multiprocessing.synchronize import Barrier  # noqa: TC003

import numpy as np

from ztag_extauthz.stores.limits import semaphore
from ztag_extauthz.stores.limits.plan import (
    ALLOWED,
    COLUMNS,
    DENIED,
    EVICTIONS,
    HELD,
    LONGEST,
    PLACES,
    SHADOW,
    TAG,
    UNTIL,
    words,
)
from ztag_extauthz.stores.limits.rate import NANOSECONDS
from ztag_extauthz.stores.limits.rate_limits import table as shared_table
from ztag_extauthz.stores.shared import SharedMemory, shared_memory

START = 1_800_000_000 * NANOSECONDS


def plan_for(*rows: tuple[int, int, bool]) -> "np.ndarray[tuple[int, int], np.dtype[np.int64]]":
    """Return a plan of (places, longest in ns, shadow)."""
    plan = np.zeros((len(rows), COLUMNS), np.int64)
    for row, (places, longest, shadow) in enumerate(rows):
        plan[row, [PLACES, LONGEST, SHADOW]] = places, longest, shadow
    return plan


class Twin:
    """A list of ends for each key."""

    def __init__(self, rows: list[tuple[int, int, bool]]) -> None:
        self.rows = rows
        self.ends: dict[int, list[tuple[int, int]]] = {}
        self.requests = 0

    def hold(self, tags: list[int], now: int) -> tuple[int, int]:
        """Return the answer and the name of what was taken."""
        self.requests += 1
        free = []
        for tag, (places, _, _) in zip(tags, self.rows, strict=True):
            self.ends[tag] = [(end, name) for end, name in self.ends.get(tag, []) if end > now]
            free.append(len(self.ends[tag]) < places)
        refused = next((row for row, (_, _, shadow) in enumerate(self.rows) if not free[row] and not shadow), ALLOWED)
        for row, tag in enumerate(tags):
            if refused == ALLOWED and free[row]:
                self.ends[tag].append((now + self.rows[row][1], self.requests))
        return refused, self.requests

    def drop(self, name: int, now: int) -> int:
        """Return how many places it gave back."""
        before = sum(end > now for ends in self.ends.values() for end, _ in ends)
        self.ends = {tag: [one for one in ends if one[1] != name] for tag, ends in self.ends.items()}
        return before - sum(end > now for ends in self.ends.values() for end, _ in ends)


def test_equals_its_twin_on_random_histories() -> None:
    source = random.Random(11)  # noqa: S311
    cells = np.zeros(words(1 << 16), np.int64)
    for history in range(2_000):
        rows = [
            (source.randint(1, 6), source.choice([5, 60]) * NANOSECONDS, source.random() < 0.2)
            for _ in range(source.randint(1, 3))
        ]
        twin, plan, now, running = Twin(rows), plan_for(*rows), START, []
        for _ in range(source.randint(1, 40)):
            now += source.choice([1, 1000, NANOSECONDS, 7 * NANOSECONDS])
            tags = [(1 + row + 8 * source.randrange(2) + (history << 8)) << 20 | history for row in range(len(rows))]
            plan[:, TAG] = tags
            answer, name = twin.hold(tags, now)
            assert semaphore.hold(cells, plan, now) == answer
            if answer == ALLOWED:
                running.append((name, plan[:, (HELD, UNTIL)].tolist()))
            if running and source.random() < 0.5:
                name, held = running.pop(source.randrange(len(running)))
                alive = [one for one in held if one[0] and one[1] > now]
                assert sum(semaphore.drop(cells, *one) for one in alive) == twin.drop(name, now)
        cells[:] = 0 if history % 100 == 99 else cells
    assert cells[EVICTIONS] == 0


def test_a_place_comes_back_once() -> None:
    """Whoever gives a place back twice, or too late, does not give back what another one has taken since."""
    cells, plan = np.zeros(words(64), np.int64), plan_for((1, NANOSECONDS, False))
    plan[0, TAG] = 77
    assert semaphore.hold(cells, plan, START) == ALLOWED
    first = plan[0, [HELD, UNTIL]].tolist()
    assert semaphore.hold(cells, plan, START + NANOSECONDS - 1) == 0
    assert semaphore.hold(cells, plan, START + NANOSECONDS) == ALLOWED, "after its longest time it is free"
    second = plan[0, [HELD, UNTIL]].tolist()
    assert [semaphore.drop(cells, *one) for one in (first, second, second)] == [False, True, False]


def test_a_shadow_counts_and_refuses_nothing() -> None:
    cells, plan = np.zeros(words(64), np.int64), plan_for((1, NANOSECONDS, True))
    plan[0, TAG] = 77
    assert [(semaphore.hold(cells, plan, START), int(plan[0, DENIED])) for _ in range(2)] == [(-1, 0), (-1, 1)]


PLACES_IN_ALL = 5


def contend(
    memory: SharedMemory, turns: int, seed: int, together: "Barrier", results: "SimpleQueue[tuple[int, int]]"
) -> None:
    """Take and give back; tell how many were taken, and how many of them were still held when they were given back."""
    cells = shared_table(memory, "places", 1 << 10)
    plan, source = plan_for((PLACES_IN_ALL, 3600 * NANOSECONDS, False)), random.Random(seed)  # noqa: S311
    plan[0, TAG] = 99
    taken = returned = 0
    held: list[list[int]] = []
    together.wait()
    for turn in range(turns):
        if source.random() < 0.6 and semaphore.hold(cells, plan, START + turn) == ALLOWED:
            held.append(plan[0, [HELD, UNTIL]].tolist())
            taken += 1
        elif held:
            returned += semaphore.drop(cells, *held.pop())
    returned += sum(semaphore.drop(cells, *one) for one in held)
    results.put((taken, returned))


def test_no_place_is_taken_twice_and_none_is_lost() -> None:
    """Of two processes that held the same place, one would find it taken away when it gives it back."""
    context = multiprocessing.get_context("forkserver")
    with shared_memory() as memory:
        results: SimpleQueue[tuple[int, int]] = context.SimpleQueue()
        together = context.Barrier(3)
        arguments = [(memory, 20_000, seed, together, results) for seed in range(3)]
        processes = [context.Process(target=contend, args=each) for each in arguments]
        for process in processes:
            process.start()
        everybody = [results.get() for _ in processes]
        for process in processes:
            process.join()
        cells = shared_table(memory, "places", 1 << 10)
        plan = plan_for((PLACES_IN_ALL, 3600 * NANOSECONDS, False))
        plan[0, TAG] = 99
        answers = [semaphore.hold(cells, plan, START) for _ in range(PLACES_IN_ALL + 1)]
    assert [taken - returned for taken, returned in everybody] == [0, 0, 0]
    assert sum(taken for taken, _ in everybody) > 0
    assert answers == [ALLOWED] * PLACES_IN_ALL + [0]
