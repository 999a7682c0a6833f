"""The risk kernel against its twin, and against what must not be possible."""

import math
import random
from itertools import product
from typing import Any

import numpy as np
import pytest

from tests.authorization.risk.twin import COLUMNS, Twin
from ztag_extauthz.authorization.risk import counts, kernel, profile
from ztag_extauthz.authorization.risk.layout import (
    BIAS,
    FAILURES,
    FLOATS,
    HASHES,
    LONGS,
    NUMBERS,
    SIGNALS,
    TOP,
    VALUE_COUNT,
)
from ztag_extauthz.authorization.risk.model import Model

START = 1_800_000_000.0
FACTS = ("now", "latitude", "longitude", "located", "token_age", "listed")
SKETCHED = ("users_of_address", "addresses_of_user")
"""Estimates; compared where they are exact, as the logarithm of a count within its error elsewhere."""


class Kernel:
    """The kernel over a memory of its own."""

    def __init__(self) -> None:
        self.longs, self.floats = np.zeros(LONGS, np.int64), np.zeros(FLOATS, np.float32)
        self.state = (self.longs, self.floats, self.floats.view(np.int32))
        self.weights = np.array(Model().row())
        self.signals = np.zeros(BIAS + TOP)

    def arrays(self, row: dict[str, int], facts: dict[str, float]) -> tuple[Any, Any]:
        return np.array([row[column] for column in COLUMNS], np.int64), np.array([facts[fact] for fact in FACTS])

    def observe(self, row: dict[str, int], facts: dict[str, float]) -> tuple[float, dict[str, float]]:
        score = kernel.observe(*self.state, *self.arrays(row, facts), self.weights, self.signals)
        return score, dict(zip(SIGNALS, self.signals.tolist(), strict=False))

    def learn(self, row: dict[str, int], facts: dict[str, float]) -> None:
        kernel.learn(*self.state, *self.arrays(row, facts))

    def outcome(self, row: dict[str, int], now: float, *, failed: bool) -> None:
        kernel.outcome(*self.state, self.arrays(row, dict.fromkeys(FACTS, 0.0))[0], now, failed)


def pools(source: random.Random) -> dict[str, list[int]]:
    """Return a few values of each column, with hashes that collide nowhere."""
    sizes = dict(zip(COLUMNS, (2, 4, 3, 2, 3, 2, 2, 2, 3), strict=True))
    return {
        column: [
            (source.getrandbits(46) << 17 | (number + 1 << 17) ^ source.getrandbits(17)) & (1 << 62) - 1 | 1
            for number in range(size)
        ]
        for column, size in sizes.items()
    }


def random_request(source: random.Random, pool: dict[str, list[int]], now: float) -> tuple[Any, Any]:
    row = {column: source.choice(values) for column, values in pool.items()}
    for column in ("network", "country", "agent", "browser", "system", "fingerprint"):
        if source.random() < 0.15:
            row[column] = 0
    place = source.choice([(52.5, 13.4), (48.1, 11.6), (40.7, -74.0)])
    facts = {
        "now": now,
        "latitude": place[0],
        "longitude": place[1],
        "located": float(source.random() < 0.8),
        "token_age": source.choice([-1.0, 10.0, 90_000.0]),
        "listed": float(source.random() < 0.05),
    }
    return row, facts


def collides_nowhere(pool: dict[str, list[int]]) -> bool:
    """Whether the few bits that a context and a count keep of each hash tell the pool's values, and nothing, apart."""
    counted = [
        value >> 5 & (VALUE_COUNT - 1) for column, values in pool.items() for value in values if column != "user"
    ]
    if len(set(counted)) < len(counted):
        return False
    bits = dict(zip(COLUMNS[1:-1], (11, 9, 7, 10, 5, 4, 8), strict=True))
    kept = (
        [value >> 17 & (1 << bits[column]) - 1 for value in [0, *values]]
        for column, values in pool.items()
        if column in bits
    )
    return all(len(set(values)) == len(values) for values in kept)


def lines_of(pool: dict[str, list[int]]) -> list[int]:
    """Return the cache lines in which the pool's keys are counted."""
    users, addresses, routes = pool["user"], pool["address"], pool["route"]
    keys = [*product(users, addresses), *product(addresses, routes), *product(users, routes)]
    keys += [(user, 1) for user in users] + [(address, 2) for address in addresses]
    return [counts.cells_of(counts.mix(*key))[0] // 16 for key in keys]


def loudest(signals: dict[str, float]) -> float:
    weights = Model().weights
    return max(value / weights[name] for name, value in signals.items() if name.startswith("burst_"))


def test_equals_its_twin_on_ten_thousand_random_histories() -> None:
    """Users, addresses, pauses from nothing to days, outcomes, and what is learned or not: all at random."""
    source = random.Random(3)  # noqa: S311
    histories = 0
    while histories < 10_000:
        pool = pools(source)
        if histories % 100 == 0:
            one, used = Kernel(), set[int]()
        lines = lines_of(pool)
        if not collides_nowhere(pool) or len(set(lines)) < len(lines) or used & set(lines):
            continue
        used |= set(lines)
        histories += 1
        one.longs[:32] = 0  # what all users share belongs to a history
        one.floats[FAILURES:] = 0
        twin, now = Twin(dict(Model().weights), Model().bias), START + source.random() * 1e6
        for _ in range(source.randint(1, 9)):
            now += source.choice([0.0, 0.05, 0.3, 2.0, 61.0, 700.0, 7200.0, 90_000.0])
            row, facts = random_request(source, pool, now)
            score, signals = one.observe(row, facts)
            expected_score, expected = twin.observe(row, facts)
            for name in SIGNALS:
                if not name.startswith("burst_"):
                    error = 0.35 if name in SKETCHED else 2e-3
                    assert signals[name] == pytest.approx(expected[name], abs=error), (histories, name)
            # Of two keys that are as surprising, either may be the one that speaks.
            assert loudest(signals) == pytest.approx(loudest(expected), abs=2e-3), histories
            if all(abs(signals[name] - expected[name]) < 1e-2 for name in SIGNALS):
                assert score == pytest.approx(expected_score, abs=5e-3)
            if source.random() < 0.8:
                one.learn(row, facts)
                twin.learn(row, facts)
            if source.random() < 0.3:
                failed = source.random() < 0.5
                one.outcome(row, now, failed=failed)
                twin.outcome(row, now, failed=failed)


def test_the_likelihood_ratio_is_the_papers_formula() -> None:
    """Freeman et al.: p(x) / p(x | user) from counts, to 1e-6; without a country, which an attacker would look up."""
    one = Kernel()
    home = dict.fromkeys(COLUMNS, 0) | {"user": 11 << 20, "address": 1 << 20, "network": 2 << 20, "route": 9 << 20}
    other = home | {"user": 12 << 20, "address": 7 << 20}
    facts = dict.fromkeys(FACTS, 0.0)
    for visit in range(6):
        one.learn(home, facts | {"now": START + 60 * visit})
        one.learn(other, facts | {"now": START + 60 * visit})
    users_visits, contexts, everybodys_visits = 6, 1, 12
    for address, same, shown in ((1 << 20, 6, 6), (99 << 20, 0, 0)):
        place = profile.find_profile(one.longs, home["user"])
        row, _ = one.arrays(home | {"address": address}, facts)
        tick = counts.ticks(START + 300)
        known = profile._known(*one.state, row, tick, place, float(users_visits), 0)
        faded = sum(math.exp(-60 * age / (30 * 86_400)) for age in range(6))
        levels = ((0.6, same, faded * shown / 6, 2), (0.3, 6, 2 * faded, 1))
        expected = sum(
            weight / 0.9 * (count / users_visits) / ((times + 1) / (everybodys_visits + values + 1))
            for weight, count, times, values in levels
        )
        unseen = contexts / (users_visits + contexts)
        ratio = 1 / (unseen + (1 - unseen) * expected)
        assert profile._ratio(float(users_visits), float(contexts), known) == pytest.approx(math.log(ratio), abs=1e-6)


def test_the_three_signals_that_add_most_are_named() -> None:
    one, source = Kernel(), random.Random(5)  # noqa: S311
    pool = pools(source)
    for turn in range(300):
        row, facts = random_request(source, pool, START + turn * 7)
        _, signals = one.observe(row, facts)
        named = [SIGNALS[int(place)] for place in one.signals[BIAS:]]
        assert [signals[name] for name in named] == sorted(signals.values(), reverse=True)[:3]
        one.learn(row, facts)


def test_batch_equals_single() -> None:
    source = random.Random(2)  # noqa: S311
    pool, single, batch = pools(source), Kernel(), Kernel()
    log = [random_request(source, pool, START + turn * 3.0) for turn in range(400)]
    arrays = [single.arrays(row, facts) for row, facts in log]
    rows, facts = (np.stack(columns) for columns in zip(*arrays, strict=True))
    ended = np.array([source.choice([-1, 0, 1]) for _ in log], np.int8)
    signals, scores = np.zeros((len(log), BIAS)), np.zeros(len(log))
    kernel.observe_many(*batch.state, rows, facts, batch.weights, ended, np.zeros_like(ended), 0.5, signals, scores)
    for turn, (row, fact) in enumerate(log):
        score, _ = single.observe(row, fact)
        assert score == scores[turn]
        if score < 0.5:
            single.learn(row, fact)
        if ended[turn] >= 0:
            single.outcome(row, fact["now"], failed=bool(ended[turn]))
    assert (single.longs == batch.longs).all()
    assert rows.shape[1] == HASHES
    assert facts.shape[1] == NUMBERS


def test_a_flood_cannot_make_itself_ordinary() -> None:
    """Even if every request of it were allowed, what is unusual now is not learned as usual."""
    one, source = Kernel(), random.Random(8)  # noqa: S311
    row, facts = random_request(source, pools(source), START)
    for turn in range(20_000):
        _, signals = one.observe(row, facts | {"now": START + turn * 0.01})
        one.learn(row, facts | {"now": START + turn * 0.01})
    assert sum(value for name, value in signals.items() if name.startswith("burst_")) > 4


def test_what_was_counted_before_the_clock_was_set_back_fades() -> None:
    """Two hours back, and one on: a flood is over, as it would be had nobody touched the clock."""
    one, source = Kernel(), random.Random(11)  # noqa: S311
    row, facts = random_request(source, pools(source), START)
    times = [START + turn * 0.01 for turn in range(2000)] + [START - 7200, START - 3600]
    floods = []
    for now in times:
        _, signals = one.observe(row, facts | {"now": now})
        floods.append(loudest(signals))
    assert floods[-2] > 4
    assert floods[-1] < 1


def test_slow_poisoning_is_flagged_before_ten_times_the_usual_rate() -> None:
    """A rate that doubles every ten minutes, for six hours: unusual long before it is ten times what it was."""
    one, source = Kernel(), random.Random(9)  # noqa: S311
    row, facts = random_request(source, pools(source), START)
    usual, now = 0.2, START
    while now < START + 12 * 3600:
        now += 1 / usual
        one.observe(row, facts | {"now": now})
        one.learn(row, facts | {"now": now})
    began = now
    while now < began + 6 * 3600:
        rate = usual * 2 ** ((now - began) / 600)
        now += 1 / rate
        _, signals = one.observe(row, facts | {"now": now})
        if max(value for name, value in signals.items() if name.startswith("burst_")) > 3 * 0.7:
            break
        one.learn(row, facts | {"now": now})
    assert rate < 10 * usual


def test_no_history_makes_a_number_that_is_none() -> None:
    """Time that goes back, places at the poles, ages that are absurd."""
    one, source = Kernel(), random.Random(10)  # noqa: S311
    pool = pools(source)
    for _ in range(2000):
        row, facts = random_request(source, pool, START + source.uniform(-1e6, 1e6))
        facts |= {"latitude": source.choice([-90.0, 90.0]), "longitude": source.choice([-180.0, 180.0])}
        facts["token_age"] = source.choice([-1e12, 1e12, 0.0])
        score, signals = one.observe(row, facts)
        assert 0 <= score <= 1
        assert all(math.isfinite(value) for value in signals.values())
        one.learn(row, facts)
        one.outcome(row, facts["now"], failed=True)
