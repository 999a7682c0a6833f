"""The risk kernel: rows of hashes and numbers in, signals out. No allocation, no look back, O(1) a request.

`observe` scores one request; it counts it (a burst is a burst, whatever is decided on it) but learns nothing from it.
`learn` is called for what was allowed and below the step-up threshold: only that becomes ordinary.
`outcome` notes whether an attempt to authenticate failed.

The likelihood ratios are those of Freeman et al. (NDSS 2016), "Who are you? A statistical approach to measuring user
authenticity", with back-off weights of Wiefling et al. (TOPS 2022). For a feature with levels l (address, network,
country), weights w, a user's n visits from M contexts, c of them with this level's value, and p the share of all users'
visits:

    p(x) / p(x | user) = 1 / ( M/(n+M) + n/(n+M) * sum_l w_l * (c_l/n) / p(v_l) )

The first term is what a user is expected to show for the first time; a coarser level that is known vouches for a finer
one as far as it is rare among everybody.
"""

import math
from typing import Any, TypeAlias

import numpy as np

from ztag_extauthz.authorization.risk.counts import (
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
    learn_value,
    mix,
    ordinary,
    spread,
    ticks,
    value_count,
)
from ztag_extauthz.authorization.risk.layout import (
    ADDRESS,
    BIAS,
    BURST,
    BURSTS,
    CONTEXT_COUNT,
    CONTEXTS,
    DISTINCT,
    HOURS,
    LATITUDE,
    LISTED,
    LOCATED,
    LONGITUDE,
    NOW,
    PROFILE_COUNT,
    PROFILES,
    REQUESTS,
    ROUTE,
    SEEN,
    TAG,
    TOKEN_AGE,
    TOP,
    USER,
    USERS,
    WORDS,
)
from ztag_extauthz.stores.kernels import inlined, kernel, prefetch

Doubles: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

WEIGHTS = (0.6, 0.3, 0.1, 0.54, 0.27, 0.19, 1.0)
"""Of the levels: address, network, country; agent, browser, system; fingerprint."""
BITS = (12, 10, 8, 10, 5, 4, 7)
SHIFTS = (0, 12, 22, 30, 40, 45, 49)
"""Where the levels' hashes are in a context, above them 7 bits of its count."""
FEATURES = (0, 3, 6, 7)
"""The first level of each feature, and the end of the last one."""
NO_PROFILE = -1
IDENTITY = (1 << 56) - 1
COUNT_STEP = 1 << 56
FULL = 127
VISIT = 600
"""Ticks: what a user does from one place within a minute is one visit."""


@inlined
def _pack(row: Longs) -> int:
    """Return the context of a row."""
    packed = 0
    for level in range(FEATURES[3]):
        packed |= ((row[ADDRESS + level] >> 17) & ((1 << BITS[level]) - 1)) << SHIFTS[level]
    return packed


@inlined
def _profiles_of(user: int) -> int:
    return PROFILES + ((user >> 7) & (PROFILE_COUNT // 2 - 1)) * 2 * WORDS


@inlined
def _fetch(longs: Longs, floats: Floats, row: Longs) -> None:
    """Begin to fetch all that a request touches."""
    user, address = row[USER], row[ADDRESS]
    prefetch(longs, _profiles_of(user))
    prefetch(longs, _profiles_of(user) + WORDS)
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
def _profile(longs: Longs, user: int) -> int:
    first = _profiles_of(user)
    if longs[first + TAG] == user:
        return first
    return first + WORDS if longs[first + WORDS + TAG] == user else NO_PROFILE


@inlined
def _when(longs: Longs, place: int) -> int:
    """Return the tick of the user's last visit."""
    return (longs[place + SEEN] >> 23) & 0xFFFF_FFFF


@inlined
def _new_profile(longs: Longs, user: int) -> int:
    """Take the place of the user who was away for longest."""
    oldest = _profiles_of(user)
    if _when(longs, oldest + WORDS) < _when(longs, oldest):
        oldest += WORDS
    for word in range(oldest, oldest + WORDS):
        longs[word] = 0
    longs[oldest + TAG] = user
    longs[USERS] += 1
    return oldest


@inlined
def _visits(longs: Longs, place: int, context: int, mask: int) -> int:
    """Return how many of the user's visits agree with the context in the bits of the mask."""
    total = 0
    for word in range(place + CONTEXTS, place + CONTEXTS + CONTEXT_COUNT):
        if longs[word] != 0 and (longs[word] ^ context) & mask == 0:
            total += longs[word] >> 56
    return total


@inlined
def _clip(value: float, low: float, high: float) -> float:
    return max(low, min(high, value))


@inlined
def _ratio(visits: float, contexts: float, known: float) -> float:
    """Return ln of p(x) / p(x | user), `known` being the weighted sum of the formula above."""
    unseen = contexts / (visits + contexts)
    return _clip(-math.log(unseen + (1.0 - unseen) * known), -3.0, 6.0)


@inlined
def _known(longs: Longs, floats: Floats, ints: Ints, row: Longs, tick: int, place: int, visits: float, feature: int) -> float:
    """Return the weighted sum over the feature's levels that the row has; negative if it has none."""
    context, weight, known = _pack(row), 0.0, 0.0
    for level in range(FEATURES[feature], FEATURES[feature + 1]):
        value = row[ADDRESS + level]
        if value != 0:
            weight += WEIGHTS[level]
            same = _visits(longs, place, context, ((1 << BITS[level]) - 1) << SHIFTS[level])
            if same > 0:
                # Everybody's visits with this value; one that nobody showed before counts as shown once.
                others = value_count(floats, ints, value, tick) + 1.0
                share = others / (longs[REQUESTS] + longs[DISTINCT + ADDRESS + level] + 1.0)
                known += WEIGHTS[level] * same / visits / share
    return known / weight if weight > 0.0 else -1.0


@inlined
def _identity(longs: Longs, floats: Floats, ints: Ints, row: Longs, tick: int, place: int, signals: Doubles) -> None:
    """Fill in address, agent, device and account."""
    visits, contexts = float(_visits(longs, place, 0, 0)), 0.0
    if visits == 0.0:
        return
    for word in range(place + CONTEXTS, place + CONTEXTS + CONTEXT_COUNT):
        contexts += 1.0 if longs[word] != 0 else 0.0
    for feature in range(3):
        known = _known(longs, floats, ints, row, tick, place, visits, feature)
        if known >= 0.0:
            signals[feature] = _ratio(visits, contexts, known)
    signals[3] = _clip(math.log(max(1.0, longs[REQUESTS]) / max(1.0, longs[USERS]) / visits), -1.0, 1.0)


@inlined
def _travel(longs: Longs, facts: Doubles, tick: int, place: int) -> float:
    """Return ln of the speed over 500 km/h between the last place and this one; 0 below it or within 100 km."""
    seen = longs[place + SEEN]
    if facts[LOCATED] == 0.0 or (seen >> 55) & 1 == 0:
        return 0.0
    latitude = math.radians(((seen >> 12) & 0x7FF) * (180.0 / 2047.0) - 90.0)
    longitude = math.radians((seen & 0xFFF) * (360.0 / 4095.0) - 180.0)
    north, east = math.radians(facts[LATITUDE]), math.radians(facts[LONGITUDE])
    half = math.sin((north - latitude) / 2.0) ** 2
    half += math.cos(latitude) * math.cos(north) * math.sin((east - longitude) / 2.0) ** 2
    distance = 12_742.0 * math.asin(math.sqrt(min(1.0, half)))
    hours = max(0.0, (tick - _when(longs, place)) / 36_000.0) + 1.0 / 60.0
    if distance < 100.0 or distance / hours < 500.0:
        return 0.0
    return math.log(distance / hours / 500.0)


@inlined
def _block(tick: int) -> int:
    """Return which quarter of which day of the week it is, as a shift in the profile's word of hours."""
    return (tick // 216_000) % 28 * 2


@inlined
def _hour(longs: Longs, place: int, tick: int) -> float:
    hours, total = longs[place + HOURS], 0
    for shift in range(0, 56, 2):
        total += (hours >> shift) & 3
    if total < 8:
        return 0.0
    here = (hours >> _block(tick)) & 3
    return _clip(-math.log((here + 0.5) / (total + 14.0) * 28.0), -1.0, 2.0)


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
def _observe(longs: Longs, floats: Floats, ints: Ints, row: Longs, facts: Doubles, weights: Doubles, signals: Doubles) -> float:
    _fetch(longs, floats, row)
    tick = ticks(facts[NOW])
    for signal in range(BIAS):
        signals[signal] = 0.0
    place = _profile(longs, row[USER])
    if place != NO_PROFILE:
        _identity(longs, floats, ints, row, tick, place, signals)
        signals[4] = _travel(longs, facts, tick, place)
        signals[5] = _hour(longs, place, tick)
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
def _learn_context(longs: Longs, place: int, context: int) -> None:
    """Count a visit from this context; a new one takes the place of the rarest, and its visits if it is a near one."""
    rarest = place + CONTEXTS
    for word in range(place + CONTEXTS, place + CONTEXTS + CONTEXT_COUNT):
        if longs[word] != 0 and longs[word] & IDENTITY == context:
            if longs[word] >> 56 == FULL:
                for other in range(place + CONTEXTS, place + CONTEXTS + CONTEXT_COUNT):
                    known = longs[other]
                    halved = max(1, (known >> 56) // 2) if known != 0 else 0
                    longs[other] = (known & IDENTITY) | (halved << 56)
            longs[word] += COUNT_STEP
            return
        if longs[word] >> 56 < longs[rarest] >> 56:
            rarest = word
    # All but the address: a phone that changes addresses within its network keeps its visits.
    near = (longs[rarest] ^ context) & IDENTITY & ~((1 << BITS[0]) - 1) == 0
    kept = longs[rarest] >> 56 if longs[rarest] != 0 and near else 0
    longs[rarest] = context | (min(FULL, kept + 1) << 56)


@inlined
def _learn_hour(longs: Longs, place: int, tick: int) -> None:
    shift, hours, total = _block(tick), longs[place + HOURS], 0
    if (hours >> shift) & 3 < 3:
        hours += 1 << shift
    for other in range(0, 56, 2):
        total += (hours >> other) & 3
    if total > 60:
        hours = (hours >> 1) & 0x55_5555_5555_5555
    longs[place + HOURS] = hours


@inlined
def _seen(facts: Doubles, tick: int) -> int:
    if facts[LOCATED] == 0.0:
        return tick << 23
    latitude = int((facts[LATITUDE] + 90.0) * (2047.0 / 180.0) + 0.5)
    longitude = int((facts[LONGITUDE] + 180.0) * (4095.0 / 360.0) + 0.5)
    return (1 << 55) | (tick << 23) | (latitude << 12) | longitude


@inlined
def _learn(longs: Longs, floats: Floats, ints: Ints, row: Longs, facts: Doubles) -> None:
    tick = ticks(facts[NOW])
    accept(floats, mix(row[USER], row[ADDRESS]))
    accept(floats, mix(row[ADDRESS], row[ROUTE]))
    accept(floats, mix(row[USER], row[ROUTE]))
    accept(floats, mix(row[USER], 1))
    accept(floats, mix(row[ADDRESS], 2))
    place = _profile(longs, row[USER])
    if place == NO_PROFILE:
        place = _new_profile(longs, row[USER])
    context = _pack(row)
    if tick - _when(longs, place) < VISIT and _visits(longs, place, context, IDENTITY) > 0:
        return
    longs[place + SEEN] = _seen(facts, tick)
    _learn_context(longs, place, context)
    _learn_hour(longs, place, tick)
    longs[REQUESTS] += 1
    for column in range(ADDRESS, ROUTE):
        if row[column] != 0 and learn_value(floats, ints, row[column], tick):
            longs[DISTINCT + column] += 1


_STATE = "int64[::1], float32[::1], int32[::1]"


@kernel(f"float64({_STATE}, int64[::1], float64[::1], float64[::1], float64[::1])")
def observe(longs: Longs, floats: Floats, ints: Ints, row: Longs, facts: Doubles, weights: Doubles, signals: Doubles) -> float:
    """Count a request and return its score in 0..1; fill in what each signal adds to the log-odds."""
    return _observe(longs, floats, ints, row, facts, weights, signals)


@kernel(f"void({_STATE}, int64[::1], float64[::1])")
def learn(longs: Longs, floats: Floats, ints: Ints, row: Longs, facts: Doubles) -> None:
    """Learn a request that was allowed and below the step-up threshold."""
    _learn(longs, floats, ints, row, facts)


@kernel(f"void({_STATE}, int64[::1], float64, boolean)")
def outcome(longs: Longs, floats: Floats, ints: Ints, row: Longs, now: float, failed: bool) -> None:  # noqa: ARG001, FBT001
    """Note whether an attempt to authenticate failed, under its user and its address."""
    fail(floats, ints, mix(row[ADDRESS], 5), ticks(now), 1.0 if failed else 0.0)
    fail(floats, ints, mix(row[USER], 6), ticks(now), 1.0 if failed else 0.0)


@kernel(f"void({_STATE}, int64[:, ::1], float64[:, ::1], float64[::1], int8[::1], float64, float64[:, ::1], float64[::1])")
def observe_many(
    longs: Longs,
    floats: Floats,
    ints: Ints,
    rows: Longs,
    facts: Doubles,
    weights: Doubles,
    ended: Longs,
    threshold: float,
    signals: Doubles,
    scores: Doubles,
) -> None:
    """Score a log in its order, learning what scores below the threshold.

    `ended` is 1 where an attempt to authenticate failed, 0 where one succeeded, -1 where none was made.
    """
    for request in range(scores.size):
        score = _observe(longs, floats, ints, rows[request], facts[request], weights, signals[request])
        scores[request] = score
        if score < threshold:
            _learn(longs, floats, ints, rows[request], facts[request])
        if ended[request] >= 0:
            tick, failed = ticks(facts[request, NOW]), float(ended[request])
            fail(floats, ints, mix(rows[request, ADDRESS], 5), tick, failed)
            fail(floats, ints, mix(rows[request, USER], 6), tick, failed)


@kernel("void(float32[::1], int32[::1], int64[:, ::1], float64[::1], float64[::1])")
def burst_many(floats: Floats, ints: Ints, keys: Longs, times: Doubles, scores: Doubles) -> None:
    """Score a stream by bursts alone: keys (events, keys of an event), Unix seconds; the most surprising key's score."""
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
