"""Parts of the risk kernel that count: bursts, spreads, failures and values, each decayed when it is touched.

Nothing here locks: two workers that touch one cell in the same nanoseconds may lose one of two counts, which a
statistic does not notice. What must be exact is in `stores`.
"""

import math
from typing import Any, TypeAlias

import numpy as np

from ztag_extauthz.authorization.risk.layout import (
    CELL_COUNT,
    EPOCH,
    EPOCH_WORD,
    FAILED,
    FAILURE_COUNT,
    FAILURE_TAU,
    FAILURES,
    FAST,
    MERGE,
    MID,
    NEW,
    OLD,
    PRIOR,
    REGISTERS,
    SLOW,
    SPREAD_COUNT,
    SPREAD_WINDOW,
    SPREADS,
    TAG,
    TAUS,
    TICK,
    TRIED,
    VALUE_COUNT,
    VALUE_TAU,
    VALUES,
    WORDS,
)
from ztag_extauthz.stores.kernels import Cells, inlined, prefetch

Longs: TypeAlias = Cells
Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]
Doubles: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Ints: TypeAlias = np.ndarray[Any, np.dtype[np.int32]]

PRIOR_FAST, PRIOR_MID = PRIOR
TAU_FAST, TAU_MID, TAU_SLOW = TAUS
POSITIVE = 0x7FFF_FFFF_FFFF_FFFF
SET_BACK = 600
"""Tenths of a second by which a cell is ahead of a clock that was set back: it fades from now on, and not only when
its time comes again."""


@inlined
def mix(first: int, second: int) -> int:
    """Join two keyed hashes: splitmix64's last steps, 63 bits."""
    value = (first ^ (second * 0x1E37_79B9_7F4A_7C15)) & POSITIVE
    value = ((value ^ (value >> 30)) * 0x3F58_476D_1CE4_E5B9) & POSITIVE
    value = ((value ^ (value >> 27)) * 0x14D0_49BB_1331_11EB) & POSITIVE
    return value ^ (value >> 31)


@inlined
def ticks(now: float) -> int:
    return int((now - EPOCH) * 10.0)


@inlined
def cells_of(key: int) -> tuple[int, int]:
    """Return the two cells of a key; both are in one cache line, so that a second row costs no second miss."""
    line = ((key >> 8) & (CELL_COUNT // 4 - 1)) * 16
    one = key & 3
    two = (one + 1 + ((key >> 2) & 63) % 3) & 3
    return line + one * 4, line + two * 4


@inlined
def fade(passed: float) -> float:
    """Return exp(-passed). Where little passed, which is the usual case, three terms are as exact and cheaper."""
    if passed < 0.01:
        return 1.0 - passed + 0.5 * passed * passed
    return math.exp(-passed) if passed < 30.0 else 0.0


@inlined
def fetch_count(floats: Floats, key: int) -> None:
    prefetch(floats, cells_of(key)[0])


@inlined
def fetch_spread(longs: Longs, key: int) -> None:
    place = _spreads_of(key)
    prefetch(longs, place)
    prefetch(longs, place + WORDS)


@inlined
def fetch_failures(floats: Floats, key: int) -> None:
    prefetch(floats, _failures_of(key))


@inlined
def fetch_value(floats: Floats, value: int) -> None:
    prefetch(floats, _value_of(value))


@inlined
def _spreads_of(key: int) -> int:
    return SPREADS + ((key >> 4) & (SPREAD_COUNT // 2 - 1)) * 2 * WORDS


@inlined
def _failures_of(key: int) -> int:
    return FAILURES + ((key >> 3) & (FAILURE_COUNT - 1)) * 4


@inlined
def _value_of(value: int) -> int:
    return VALUES + ((value >> 5) & (VALUE_COUNT - 1)) * 2


@inlined
def _age(floats: Floats, ints: Ints, cell: int, tick: int) -> None:
    """Let a cell fade to now."""
    passed = tick - ints[cell + TICK]
    if passed > 0:
        seconds = passed * 0.1
        floats[cell + FAST] *= fade(seconds / TAU_FAST)
        floats[cell + MID] *= fade(seconds / TAU_MID)
        floats[cell + SLOW] *= fade(seconds / TAU_SLOW)
    if passed > 0 or passed < -SET_BACK:
        ints[cell + TICK] = tick


@inlined
def surprise(fast: float, mid: float, slow: float) -> float:
    """Return ln(1 + chi-square) of the more unusual of two counts, 0 for what is not more than expected."""
    expected_fast = PRIOR_FAST + slow * (TAU_FAST / TAU_SLOW)
    expected_mid = PRIOR_MID + slow * (TAU_MID / TAU_SLOW)
    over_fast = max(0.0, fast - expected_fast)
    over_mid = max(0.0, mid - expected_mid)
    most: float = max(over_fast * over_fast / expected_fast, over_mid * over_mid / expected_mid)
    return math.log1p(most)


@inlined
def count(floats: Floats, ints: Ints, key: int, tick: int) -> float:
    """Count one request of the key and return how surprising the count is."""
    one, two = cells_of(key)
    _age(floats, ints, one, tick)
    _age(floats, ints, two, tick)
    fast = min(floats[one + FAST], floats[two + FAST]) + 1.0
    mid = min(floats[one + MID], floats[two + MID]) + 1.0
    # Only what is too small grows: an estimate never exceeds what a neighbour in the sketch already claims.
    floats[one + FAST] = max(floats[one + FAST], fast)
    floats[two + FAST] = max(floats[two + FAST], fast)
    floats[one + MID] = max(floats[one + MID], mid)
    floats[two + MID] = max(floats[two + MID], mid)
    return surprise(fast, mid, min(floats[one + SLOW], floats[two + SLOW]))


@inlined
def ordinary(floats: Floats, key: int) -> float:
    """Return the key's count of what was learned as ordinary, some hours back."""
    one, two = cells_of(key)
    return float(min(floats[one + SLOW], floats[two + SLOW]))


@inlined
def accept(floats: Floats, key: int) -> None:
    """Learn one counted request as ordinary, unless its count is unusual now."""
    one, two = cells_of(key)
    fast = min(floats[one + FAST], floats[two + FAST])
    mid = min(floats[one + MID], floats[two + MID])
    slow = min(floats[one + SLOW], floats[two + SLOW])
    if surprise(fast, mid, slow) < MERGE:
        floats[one + SLOW] = max(floats[one + SLOW], slow + 1.0)
        floats[two + SLOW] = max(floats[two + SLOW], slow + 1.0)


@inlined
def spread(longs: Longs, key: int, item: int, now: float) -> float:
    """Note an item of the key and return about how many distinct ones it had in one to two windows (HyperLogLog)."""
    place = _spread_place(longs, key)
    window = int((now - EPOCH) / SPREAD_WINDOW)
    behind = window - longs[place + EPOCH_WORD]
    if behind != 0:
        for word in range(3):
            longs[place + OLD + word] = longs[place + NEW + word] if behind == 1 else 0
            longs[place + NEW + word] = 0
        longs[place + EPOCH_WORD] = window
    hashed = mix(item, 0x5EED)
    register = (hashed & 0xFFFF) % REGISTERS
    rest = hashed >> 16
    rank = 1
    while rank < 15 and rest & 1 == 0:
        rank += 1
        rest >>= 1
    word, shift = place + NEW + register // 16, (register % 16) * 4
    if (longs[word] >> shift) & 15 < rank:
        longs[word] = (longs[word] & ~(15 << shift)) | (rank << shift)
    return _estimate(longs, place)


@inlined
def _spread_place(longs: Longs, key: int) -> int:
    """Return the key's line of its bucket of two; a new key takes the one whose window is older, then emptier."""
    first = _spreads_of(key)
    second = first + WORDS
    if longs[first + TAG] == key:
        return first
    if longs[second + TAG] == key:
        return second
    place = second
    behind = longs[second + EPOCH_WORD] - longs[first + EPOCH_WORD]
    if behind > 0 or (behind == 0 and _zeros(longs, first) > _zeros(longs, second)):
        place = first
    longs[place + TAG] = key
    for word in range(place + 1, place + WORDS):
        longs[word] = 0
    return place


@inlined
def _zeros(longs: Longs, place: int) -> int:
    """Return how many registers are empty in both windows."""
    used = 0
    for word in range(place, place + 3):
        bits = longs[word + NEW] | longs[word + OLD]
        bits = (bits | (bits >> 1) | (bits >> 2) | (bits >> 3)) & 0x1111_1111_1111_1111
        bits = (bits & 0x0F0F_0F0F_0F0F_0F0F) + ((bits >> 4) & 0x0F0F_0F0F_0F0F_0F0F)
        used += ((bits * 0x0101_0101_0101_0101) >> 56) & 0xFF
    return REGISTERS - used


@inlined
def _estimate(longs: Longs, place: int) -> float:
    """Count linearly while some registers are empty, harmonically from there on."""
    zeros = _zeros(longs, place)
    if zeros > 4:
        return float(REGISTERS * math.log(REGISTERS / zeros))
    total = 0.0
    for word in range(place, place + 3):
        for shift in range(0, 64, 4):
            rank = max((longs[word + NEW] >> shift) & 15, (longs[word + OLD] >> shift) & 15)
            total += 1.0 / (1 << rank)
    return 0.7055 * REGISTERS * REGISTERS / total


@inlined
def fail(floats: Floats, ints: Ints, key: int, tick: int, failed: float, tried: float) -> None:
    """Note how attempts ended: how many of so many failed."""
    cell = _fade_failures(floats, ints, key, tick)
    floats[cell + FAILED] += failed
    floats[cell + TRIED] += tried


@inlined
def failure_odds(floats: Floats, ints: Ints, key: int, tick: int) -> float:
    """Return ln of the share of failures against the usual tenth (a beta-binomial estimate)."""
    cell = _fade_failures(floats, ints, key, tick)
    return math.log((floats[cell + FAILED] + 1.0) / (floats[cell + TRIED] + 10.0) / 0.1)


@inlined
def _fade_failures(floats: Floats, ints: Ints, key: int, tick: int) -> int:
    cell = _failures_of(key)
    passed = tick - ints[cell + TICK]
    if passed > 0:
        faded = fade(passed * 0.1 / FAILURE_TAU)
        floats[cell + FAILED] *= faded
        floats[cell + TRIED] *= faded
    if passed > 0 or passed < -SET_BACK:
        ints[cell + TICK] = tick
    return cell


@inlined
def value_count(floats: Floats, ints: Ints, value: int, tick: int) -> float:
    """Return how often a value (an address, a browser …) was learned in the last weeks."""
    cell = _value_of(value)
    return float(floats[cell]) * fade(max(0, tick - ints[cell + 1]) * 0.1 / VALUE_TAU)


@inlined
def learn_value(floats: Floats, ints: Ints, value: int, tick: int) -> bool:
    """Count a value; return whether it is new."""
    cell = _value_of(value)
    known = value_count(floats, ints, value, tick)
    floats[cell] = known + 1.0
    ints[cell + 1] = tick
    return known < 0.5
