"""Parts of the risk kernel that know a user's habits: where they were last, and at which hours they come."""

import math

from ztag_extauthz.authorization.risk.counts import Doubles, Longs
from ztag_extauthz.authorization.risk.layout import HOURS, LATITUDE, LOCATED, LONGITUDE, SEEN
from ztag_extauthz.stores.kernels import inlined


@inlined
def when(longs: Longs, place: int) -> int:
    """Return the tick of the user's last visit."""
    tick: int = (longs[place + SEEN] >> 23) & 0xFFFF_FFFF
    return tick


@inlined
def clip(value: float, low: float, high: float) -> float:
    return max(low, min(high, value))


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
    hours = max(0.0, (tick - when(longs, place)) / 36_000.0) + 1.0 / 60.0
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
    return clip(-math.log((here + 0.5) / (total + 14.0) * 28.0), -1.0, 2.0)


@inlined
def learn_hour(longs: Longs, place: int, tick: int) -> None:
    shift, hours, total = _block(tick), longs[place + HOURS], 0
    if (hours >> shift) & 3 < 3:
        hours += 1 << shift
    for other in range(0, 56, 2):
        total += (hours >> other) & 3
    if total > 60:
        hours = (hours >> 1) & 0x55_5555_5555_5555
    longs[place + HOURS] = hours


@inlined
def seen_at(facts: Doubles, tick: int) -> int:
    if facts[LOCATED] == 0.0:
        return tick << 23
    latitude = int((facts[LATITUDE] + 90.0) * (2047.0 / 180.0) + 0.5)
    longitude = int((facts[LONGITUDE] + 180.0) * (4095.0 / 360.0) + 0.5)
    return (1 << 55) | (tick << 23) | (latitude << 12) | longitude
