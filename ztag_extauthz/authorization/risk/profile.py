"""Parts of the risk kernel that know a user: where they come from, when, and how likely that is for them.

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

from ztag_extauthz.authorization.risk.counts import Floats, Ints, Longs, learn_value, value_count
from ztag_extauthz.authorization.risk.layout import (
    ADDRESS,
    CONTEXT_COUNT,
    CONTEXTS,
    DISTINCT,
    HOURS,
    LATITUDE,
    LOCATED,
    LONGITUDE,
    PROFILE_COUNT,
    PROFILES,
    REQUESTS,
    ROUTE,
    SEEN,
    TAG,
    USER,
    USERS,
    WORDS,
)
from ztag_extauthz.stores.kernels import inlined

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
def profiles_of(user: int) -> int:
    return PROFILES + ((user >> 7) & (PROFILE_COUNT // 2 - 1)) * 2 * WORDS


@inlined
def find_profile(longs: Longs, user: int) -> int:
    first = profiles_of(user)
    if longs[first + TAG] == user:
        return first
    return first + WORDS if longs[first + WORDS + TAG] == user else NO_PROFILE


@inlined
def _when(longs: Longs, place: int) -> int:
    """Return the tick of the user's last visit."""
    tick: int = (longs[place + SEEN] >> 23) & 0xFFFF_FFFF
    return tick


@inlined
def new_profile(longs: Longs, user: int) -> int:
    """Take the place of the user who was away for longest."""
    oldest = profiles_of(user)
    if _when(longs, oldest + WORDS) < _when(longs, oldest):
        oldest += WORDS
    for word in range(oldest, oldest + WORDS):
        longs[word] = 0
    longs[oldest + TAG] = user
    longs[USERS] += 1
    return oldest


@inlined
def _pack(row: Longs) -> int:
    """Return the context of a row."""
    packed = 0
    for level in range(FEATURES[3]):
        packed |= ((row[ADDRESS + level] >> 17) & ((1 << BITS[level]) - 1)) << SHIFTS[level]
    return packed


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
def _known(
    longs: Longs, floats: Floats, ints: Ints, row: Longs, tick: int, place: int, visits: float, feature: int
) -> float:
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
def identity(longs: Longs, floats: Floats, ints: Ints, row: Longs, tick: int, place: int, signals: Doubles) -> None:
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
def travel(longs: Longs, facts: Doubles, tick: int, place: int) -> float:
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
def hour(longs: Longs, place: int, tick: int) -> float:
    hours, total = longs[place + HOURS], 0
    for shift in range(0, 56, 2):
        total += (hours >> shift) & 3
    if total < 8:
        return 0.0
    here = (hours >> _block(tick)) & 3
    return _clip(-math.log((here + 0.5) / (total + 14.0) * 28.0), -1.0, 2.0)


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
def learn_visit(longs: Longs, floats: Floats, ints: Ints, row: Longs, facts: Doubles, tick: int) -> None:
    """Learn where the user comes from, once a visit."""
    place = find_profile(longs, row[USER])
    if place == NO_PROFILE:
        place = new_profile(longs, row[USER])
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
