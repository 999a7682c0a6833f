"""The risk kernel: rows of hashes and numbers in, signals out. No allocation, no look back, O(1) a request.

`observe` scores one request; it counts it (a burst is a burst, whatever is decided on it) but learns nothing from it.
`learn` is called for what was allowed and below the step-up threshold: only that becomes ordinary.
`outcome` notes whether an attempt to authenticate failed.
"""

import math
from typing import Any, TypeAlias

import numpy as np

from ztag_extauthz.authorization.risk.counts import (
    Doubles,
    Floats,
    Ints,
    Longs,
    accept,
    count,
    fail,
    failure_odds,
    fetch_count,
    fetch_failures,
    fetch_spread,
    fetch_value,
    mix,
    ordinary,
    spread,
    ticks,
)
from ztag_extauthz.authorization.risk.habits import hour, travel
from ztag_extauthz.authorization.risk.layout import (
    ADDRESS,
    BIAS,
    BURST,
    BURSTS,
    LISTED,
    NOW,
    ROUTE,
    TOKEN_AGE,
    TOP,
    USER,
    WORDS,
)
from ztag_extauthz.authorization.risk.profile import (
    NO_PROFILE,
    find_profile,
    identity,
    learn_visit,
    profiles_of,
)
from ztag_extauthz.stores.kernels import inlined, kernel, prefetch

Bytes: TypeAlias = np.ndarray[Any, np.dtype[np.int8]]


@inlined
def _fetch(longs: Longs, floats: Floats, row: Longs) -> None:
    """Begin to fetch all that a request touches."""
    user, address = row[USER], row[ADDRESS]
    prefetch(longs, profiles_of(user))
    prefetch(longs, profiles_of(user) + WORDS)
    fetch_count(floats, mix(user, address))
    fetch_count(floats, mix(address, row[ROUTE]))
    fetch_count(floats, mix(user, row[ROUTE]))
    fetch_count(floats, mix(user, 1))
    fetch_count(floats, mix(address, 2))
    fetch_spread(longs, mix(address, 3))
    fetch_spread(longs, mix(user, 4))
    fetch_failures(floats, mix(address, 5))
    fetch_failures(floats, mix(user, 6))
    for column in range(ADDRESS, ROUTE):
        fetch_value(floats, row[column])


@inlined
def _over(value: float, usual: float) -> float:
    return math.log(value / usual) if value > usual else 0.0


@inlined
def _bursts(floats: Floats, ints: Ints, row: Longs, tick: int, signals: Doubles) -> None:
    """Count the request under its five keys; only the most surprising one speaks, since they speak of one thing."""
    signals[BURST] = count(floats, ints, mix(row[USER], row[ADDRESS]), tick)
    signals[BURST + 1] = count(floats, ints, mix(row[ADDRESS], row[ROUTE]), tick)
    signals[BURST + 2] = count(floats, ints, mix(row[USER], row[ROUTE]), tick)
    signals[BURST + 3] = count(floats, ints, mix(row[USER], 1), tick)
    signals[BURST + 4] = count(floats, ints, mix(row[ADDRESS], 2), tick)
    most = BURST
    for signal in range(BURST + 1, BURST + BURSTS):
        if signals[signal] > signals[most]:
            signals[most] = 0.0
            most = signal
        else:
            signals[signal] = 0.0


@inlined
def _rank(signals: Doubles) -> None:
    """Put the places of the signals that add most behind them."""
    if signals.size < BIAS + TOP:
        return
    first = second = third = -1
    for signal in range(BIAS):
        if first < 0 or signals[signal] > signals[first]:
            first, second, third = signal, first, second
        elif second < 0 or signals[signal] > signals[second]:
            second, third = signal, second
        elif third < 0 or signals[signal] > signals[third]:
            third = signal
    signals[BIAS], signals[BIAS + 1], signals[BIAS + 2] = first, second, third


@inlined
def _observe(
    longs: Longs, floats: Floats, ints: Ints, row: Longs, facts: Doubles, weights: Doubles, signals: Doubles
) -> float:
    _fetch(longs, floats, row)
    tick = ticks(facts[NOW])
    for signal in range(BIAS):
        signals[signal] = 0.0
    place = find_profile(longs, row[USER])
    if place != NO_PROFILE:
        identity(longs, floats, ints, row, tick, place, signals)
        signals[4] = travel(longs, facts, tick, place)
        signals[5] = hour(longs, place, tick)
    _bursts(floats, ints, row, tick, signals)
    usual = ordinary(floats, mix(row[USER], 1))
    if usual >= 20.0 and ordinary(floats, mix(row[USER], row[ROUTE])) < 0.5:
        signals[6] = math.log1p(usual / 20.0)
    signals[12] = _over(spread(longs, mix(row[ADDRESS], 3), row[USER], facts[NOW]), 4.0)
    signals[13] = _over(spread(longs, mix(row[USER], 4), row[ADDRESS], facts[NOW]), 3.0)
    signals[14] = max(-0.5, failure_odds(floats, ints, mix(row[ADDRESS], 5), tick))
    signals[15] = max(-0.5, failure_odds(floats, ints, mix(row[USER], 6), tick))
    signals[16] = _over(facts[TOKEN_AGE], 3600.0)
    signals[17] = facts[LISTED]
    total = weights[BIAS]
    for signal in range(BIAS):
        signals[signal] *= weights[signal]
        total += signals[signal]
    _rank(signals)
    return 1.0 / (1.0 + math.exp(-total))


@inlined
def _learn(longs: Longs, floats: Floats, ints: Ints, row: Longs, facts: Doubles) -> None:
    tick = ticks(facts[NOW])
    accept(floats, mix(row[USER], row[ADDRESS]))
    accept(floats, mix(row[ADDRESS], row[ROUTE]))
    accept(floats, mix(row[USER], row[ROUTE]))
    accept(floats, mix(row[USER], 1))
    accept(floats, mix(row[ADDRESS], 2))
    learn_visit(longs, floats, ints, row, facts, tick)


_STATE = "int64[::1], float32[::1], int32[::1]"


@kernel(f"float64({_STATE}, int64[::1], float64[::1], float64[::1], float64[::1])")
def observe(
    longs: Longs, floats: Floats, ints: Ints, row: Longs, facts: Doubles, weights: Doubles, signals: Doubles
) -> float:
    """Count a request and return its score in 0..1; fill in what each signal adds to the log-odds."""
    return _observe(longs, floats, ints, row, facts, weights, signals)


@kernel(f"void({_STATE}, int64[::1], float64[::1])")
def learn(longs: Longs, floats: Floats, ints: Ints, row: Longs, facts: Doubles) -> None:
    """Learn a request that was allowed and below the step-up threshold."""
    _learn(longs, floats, ints, row, facts)


@kernel(f"void({_STATE}, int64[::1], float64, boolean)")
def outcome(longs: Longs, floats: Floats, ints: Ints, row: Longs, now: float, failed: bool) -> None:  # noqa: ARG001, FBT001
    """Note whether an attempt to authenticate failed, under its user and its address."""
    fail(floats, ints, mix(row[ADDRESS], 5), ticks(now), 1.0 if failed else 0.0, 1.0)
    fail(floats, ints, mix(row[USER], 6), ticks(now), 1.0 if failed else 0.0, 1.0)


@kernel(f"void({_STATE}, int64[:, ::1], float64)")
def merge(longs: Longs, floats: Floats, ints: Ints, pairs: Longs, now: float) -> None:
    """Note what another node saw: rows of user, address, failures and attempts."""
    tick = ticks(now)
    for pair in range(pairs.shape[0]):
        user, address = pairs[pair, 0], pairs[pair, 1]
        fail(floats, ints, mix(address, 5), tick, pairs[pair, 2], pairs[pair, 3])
        fail(floats, ints, mix(user, 6), tick, pairs[pair, 2], pairs[pair, 3])
        spread(longs, mix(address, 3), user, now)
        spread(longs, mix(user, 4), address, now)


@kernel(
    f"void({_STATE}, int64[:, ::1], float64[:, ::1], float64[::1], int8[::1], int8[::1], float64, "
    "float64[:, ::1], float64[::1])"
)
def observe_many(
    longs: Longs,
    floats: Floats,
    ints: Ints,
    rows: Longs,
    facts: Doubles,
    weights: Doubles,
    ended: Bytes,
    vouched: Bytes,
    threshold: float,
    signals: Doubles,
    scores: Doubles,
) -> None:
    """Score a log in its order, learning what scores below the threshold, or is vouched for: it passes a step-up.

    `ended` is 1 where an attempt to authenticate failed, 0 where one succeeded, -1 where none was made.
    """
    for request in range(scores.size):
        score = _observe(longs, floats, ints, rows[request], facts[request], weights, signals[request])
        scores[request] = score
        if score < threshold or vouched[request]:
            _learn(longs, floats, ints, rows[request], facts[request])
        if ended[request] >= 0:
            tick, failed = ticks(facts[request, NOW]), float(ended[request])
            fail(floats, ints, mix(rows[request, ADDRESS], 5), tick, failed, 1.0)
            fail(floats, ints, mix(rows[request, USER], 6), tick, failed, 1.0)


@kernel("void(float32[::1], int32[::1], int64[:, ::1], float64[::1], float64[::1])")
def burst_many(floats: Floats, ints: Ints, keys: Longs, times: Doubles, scores: Doubles) -> None:
    """Score a stream by bursts alone: keys (events, keys of one), Unix seconds; the most surprising key's score."""
    for event in range(times.size):
        for column in range(keys.shape[1]):
            fetch_count(floats, keys[event, column])
        tick = ticks(times[event])
        score = 0.0
        for column in range(keys.shape[1]):
            score = max(score, count(floats, ints, keys[event, column], tick))
        for column in range(keys.shape[1]):
            accept(floats, keys[event, column])
        scores[event] = score
