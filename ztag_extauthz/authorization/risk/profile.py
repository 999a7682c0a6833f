"""Parts of the risk kernel that know a user: where they come from, with what, and how likely that is for them.

The likelihood ratios are those of Freeman et al. (NDSS 2016), "Who are you? A statistical approach to measuring user
authenticity", with back-off weights of Wiefling et al. (TOPS 2022). For a feature with levels l (address, network,
country), weights w, a user's n visits from M networks (or browsers, or fingerprints), c of them with this level's
value, and p the share of all users' visits:

    p(x) / p(x | user) = 1 / ( M/(n+M) + n/(n+M) * sum_l w_l * (c_l/n) / p(v_l) )

The first term is what a user is expected to show for the first time; a coarser level that is known vouches for a finer
one as far as it is rare among everybody.

Everybody is not the attacker: who aims at a user looks the country up. So where the country is one of the user's, p is
taken within it (the sum is multiplied by the country's share), and a known country alone vouches for nothing. A browser
and a fingerprint can be copied, so that showing the right ones tells little (`FLOORS`).
"""

import math

from ztag_extauthz.authorization.risk.counts import Doubles, Floats, Ints, Longs, learn_value, value_count
from ztag_extauthz.authorization.risk.habits import clip, learn_hour, seen_at, when
from ztag_extauthz.authorization.risk.layout import (
    ADDRESS,
    CONTEXT_COUNT,
    CONTEXTS,
    COUNTRY,
    DISTINCT,
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

WEIGHTS = (0.6, 0.3, 0.1, 0.54, 0.27, 0.19, 1.0)
"""Of the levels: address, network, country; agent, browser, system; fingerprint."""
BITS = (11, 9, 7, 10, 5, 4, 8)
SHIFTS = (0, 11, 20, 0, 10, 15, 19)
"""Where the levels' hashes are in an entry of 32 bits; above them 5 bits of its count."""
SIDES = (0, 0, 0, 1, 1, 1, 1)
"""A profile's word holds two entries that have nothing to do with each other: a place and a program."""
FEATURES = (0, 3, 6, 7)
"""The first level of each feature, and the end of the last one."""
VARIETY = (1, 4, 6)
"""Of addresses and agents there is no end: a user's variety is counted a level above, where the row has that."""
FLOORS = (-3.0, -0.5, -0.7)
"""How much the right address, agent and device can speak for a request."""
NO_PROFILE = -1
ENTRY = 0xFFFF_FFFF
IDENTITY = (1 << 27) - 1
COUNT = 27
FULL = 31
NEAR = (0x7FF_F800, 0x7FF_8000)
"""A new address of a known network and country, or a new browser of a known system and fingerprint, takes the old one's
place and visits."""
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
def new_profile(longs: Longs, user: int) -> int:
    """Take the place of the user who was away for longest."""
    oldest = profiles_of(user)
    if when(longs, oldest + WORDS) < when(longs, oldest):
        oldest += WORDS
    for word in range(oldest, oldest + WORDS):
        longs[word] = 0
    longs[oldest + TAG] = user
    longs[USERS] += 1
    return oldest


@inlined
def _pack(row: Longs, side: int) -> int:
    """Return the entry of a row, without a count."""
    packed = 0
    for level in range(FEATURES[3]):
        if SIDES[level] == side:
            packed |= ((row[ADDRESS + level] >> 17) & ((1 << BITS[level]) - 1)) << SHIFTS[level]
    return packed


@inlined
def _entry(longs: Longs, word: int, side: int) -> int:
    entry: int = (longs[word] >> (32 * side)) & ENTRY
    return entry


@inlined
def _put(longs: Longs, word: int, side: int, entry: int) -> None:
    longs[word] = (longs[word] & (ENTRY << (32 * (1 - side)))) | (entry << (32 * side))


@inlined
def _visits(longs: Longs, place: int, side: int, entry: int, mask: int) -> int:
    """Return how many of the user's visits agree with the entry in the bits of the mask."""
    total = 0
    for word in range(place + CONTEXTS, place + CONTEXTS + CONTEXT_COUNT):
        known = _entry(longs, word, side)
        if known != 0 and (known ^ entry) & mask == 0:
            total += known >> COUNT
    return total


@inlined
def _variety(longs: Longs, place: int, side: int, mask: int) -> float:
    """Return how many different values the user's entries have in the bits of the mask."""
    different = 0.0
    first = place + CONTEXTS
    for word in range(first, first + CONTEXT_COUNT):
        known = _entry(longs, word, side)
        repeats = known == 0
        for before in range(first, word):
            other = _entry(longs, before, side)
            repeats = repeats or (other != 0 and (other ^ known) & mask == 0)
        different += 0.0 if repeats else 1.0
    return different


@inlined
def _ratio(visits: float, contexts: float, known: float) -> float:
    """Return ln of p(x) / p(x | user), `known` being the weighted sum of the formula above."""
    unseen = contexts / (visits + contexts)
    return -math.log(unseen + (1.0 - unseen) * known)


@inlined
def _known(
    longs: Longs, floats: Floats, ints: Ints, row: Longs, tick: int, place: int, visits: float, feature: int
) -> float:
    """Return the weighted sum over the feature's levels that the row has; negative if it has none."""
    side = SIDES[FEATURES[feature]]
    entry, weight, known, within = _pack(row, side), 0.0, 0.0, 1.0
    for level in range(FEATURES[feature], FEATURES[feature + 1]):
        value = row[ADDRESS + level]
        if value != 0:
            weight += WEIGHTS[level]
            same = _visits(longs, place, side, entry, ((1 << BITS[level]) - 1) << SHIFTS[level])
            if same > 0:
                # Everybody's visits with this value; one that nobody showed before counts as shown once.
                others = value_count(floats, ints, value, tick) + 1.0
                share = others / (longs[REQUESTS] + longs[DISTINCT + ADDRESS + level] + 1.0)
                known += WEIGHTS[level] * same / visits / share
                within = share if level == COUNTRY - ADDRESS else within
    return known * within / weight if weight > 0.0 else -1.0


@inlined
def identity(longs: Longs, floats: Floats, ints: Ints, row: Longs, tick: int, place: int, signals: Doubles) -> None:
    """Fill in address, agent, device and account."""
    visits = 0.0
    for feature in range(3):
        side = SIDES[FEATURES[feature]]
        visits = float(_visits(longs, place, side, 0, 0))
        level = VARIETY[feature] if row[ADDRESS + VARIETY[feature]] != 0 else FEATURES[feature]
        contexts = _variety(longs, place, side, ((1 << BITS[level]) - 1) << SHIFTS[level])
        known = _known(longs, floats, ints, row, tick, place, visits, feature)
        if known >= 0.0:
            signals[feature] = clip(_ratio(visits, contexts, known), FLOORS[feature], 6.0)
    signals[3] = clip(math.log(max(1.0, longs[REQUESTS]) / max(1.0, longs[USERS]) / visits), -1.0, 1.0)


@inlined
def _learn_entry(longs: Longs, place: int, side: int, entry: int) -> None:
    """Count a visit; a new entry takes an empty place, else that of a near one with its visits, else the rarest's."""
    first, last = place + CONTEXTS, place + CONTEXTS + CONTEXT_COUNT
    rarest, near = first, 0
    for word in range(first, last):
        known = _entry(longs, word, side)
        if known != 0 and known & IDENTITY == entry:
            if known >> COUNT == FULL:
                _halve(longs, first, last, side)
            _put(longs, word, side, _entry(longs, word, side) + (1 << COUNT))
            return
        if known >> COUNT < _entry(longs, rarest, side) >> COUNT:
            rarest = word
        is_near = known != 0 and (known ^ entry) & NEAR[side] == 0
        if is_near and (near == 0 or known >> COUNT < _entry(longs, near, side) >> COUNT):
            near = word
    if _entry(longs, rarest, side) != 0 and near != 0:
        kept = _entry(longs, near, side) >> COUNT
        _put(longs, near, side, entry | (min(FULL, kept + 1) << COUNT))
    else:
        _put(longs, rarest, side, entry | (1 << COUNT))


@inlined
def _halve(longs: Longs, first: int, last: int, side: int) -> None:
    for word in range(first, last):
        known = _entry(longs, word, side)
        if known != 0:
            _put(longs, word, side, (known & IDENTITY) | (max(1, (known >> COUNT) // 2) << COUNT))


@inlined
def learn_visit(longs: Longs, floats: Floats, ints: Ints, row: Longs, facts: Doubles, tick: int) -> None:
    """Learn where the user comes from, once a visit."""
    place = find_profile(longs, row[USER])
    if place == NO_PROFILE:
        place = new_profile(longs, row[USER])
    where, what = _pack(row, 0), _pack(row, 1)
    known = _visits(longs, place, 0, where, IDENTITY) > 0 and _visits(longs, place, 1, what, IDENTITY) > 0
    if known and tick - when(longs, place) < VISIT:
        return
    longs[place + SEEN] = seen_at(facts, tick)
    _learn_entry(longs, place, 0, where)
    _learn_entry(longs, place, 1, what)
    learn_hour(longs, place, tick)
    longs[REQUESTS] += 1
    for column in range(ADDRESS, ROUTE):
        if row[column] != 0 and learn_value(floats, ints, row[column], tick):
            longs[DISTINCT + column] += 1
