"""The risk kernel once more: slow, in dictionaries that never collide, after the description and not the code."""

import math
from dataclasses import dataclass, field
from typing import Any

from ztag_extauthz.authorization.risk.layout import EPOCH, SIGNALS

TAUS = (10.0, 300.0, 21_600.0)
PRIOR = (5.0, 20.0)
WEEK_BLOCKS = 28
LEVELS = (("address", "network", "country"), ("agent", "browser", "system"), ("fingerprint",))
LEVEL_WEIGHTS = {
    "address": 0.6,
    "network": 0.3,
    "country": 0.1,
    "agent": 0.54,
    "browser": 0.27,
    "system": 0.19,
    "fingerprint": 1.0,
}
COLUMNS = ("user", *(level for feature in LEVELS for level in feature), "route")


@dataclass
class Counter:
    """Three counts that fade."""

    counts: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    tick: int = 0

    def fade(self, tick: int) -> None:
        if tick > self.tick:
            passed = (tick - self.tick) / 10
            self.counts = [count * math.exp(-passed / tau) for count, tau in zip(self.counts, TAUS, strict=True)]
            self.tick = tick

    def surprise(self) -> float:
        most = 0.0
        for count, prior, tau in zip(self.counts[:2], PRIOR, TAUS, strict=False):
            expected = prior + self.counts[2] * tau / TAUS[2]
            if count > expected:
                most = max(most, (count - expected) ** 2 / expected)
        return math.log(1 + most)


@dataclass
class Tried:
    """Failures and attempts that fade."""

    failed: float = 0.0
    tried: float = 0.0
    tick: int = 0

    def fade(self, tick: int) -> None:
        if tick > self.tick:
            faded = math.exp(-(tick - self.tick) / 10 / 3600)
            self.failed, self.tried, self.tick = self.failed * faded, self.tried * faded, tick


@dataclass
class Profile:
    seen: int = 0
    place: tuple[float, float] | None = None
    hours: list[int] = field(default_factory=lambda: [0] * WEEK_BLOCKS)
    sides: tuple[list[list[Any]], list[list[Any]]] = field(default_factory=lambda: ([], []))
    """Places and programs: [count, {level: value}], in the order in which they were first seen."""


class Twin:
    def __init__(self, weights: dict[str, float], bias: float) -> None:
        self.weights, self.bias = weights, bias
        self.counters: dict[Any, Counter] = {}
        self.windows: dict[Any, dict[int, set[int]]] = {}
        self.tries: dict[Any, Tried] = {}
        self.profiles: dict[int, Profile] = {}
        self.values: dict[tuple[str, int], tuple[float, int]] = {}
        self.distinct: dict[str, int] = {}
        self.visits = 0

    def keys(self, row: dict[str, int]) -> list[Any]:
        user, address, route = row["user"], row["address"], row["route"]
        return [("ua", user, address), ("ar", address, route), ("ur", user, route), ("u", user), ("a", address)]

    def observe(self, row: dict[str, int], facts: dict[str, float]) -> tuple[float, dict[str, float]]:
        tick = int((facts["now"] - EPOCH) * 10)
        signals = dict.fromkeys(SIGNALS, 0.0)
        profile = self.profiles.get(row["user"])
        if profile is not None:
            signals |= self.identity(profile, row, tick)
            signals["travel"] = self.travel(profile, facts, tick)
            signals["hour"] = self.hour(profile, tick)
        bursts = {}
        for name, key in zip((name for name in SIGNALS if name.startswith("burst_")), self.keys(row), strict=True):
            counter = self.counters.setdefault(key, Counter())
            counter.fade(tick)
            counter.counts[0] += 1
            counter.counts[1] += 1
            bursts[name] = counter.surprise()
        loudest = max(bursts, key=lambda name: bursts[name])
        signals[loudest] = bursts[loudest]
        usual = self.counters["u", row["user"]].counts[2]
        if usual >= 20 and self.counters["ur", row["user"], row["route"]].counts[2] < 0.5:
            signals["route"] = math.log(1 + usual / 20)
        signals["users_of_address"] = self.over(self.spread(("a", row["address"]), row["user"], facts["now"]), 4)
        signals["addresses_of_user"] = self.over(self.spread(("u", row["user"]), row["address"], facts["now"]), 3)
        signals["failures_of_address"] = max(-0.5, self.odds(("a", row["address"]), tick))
        signals["failures_of_user"] = max(-0.5, self.odds(("u", row["user"]), tick))
        signals["token_age"] = self.over(facts["token_age"], 3600)
        signals["threat_list"] = facts["listed"]
        adds = {name: value * self.weights[name] for name, value in signals.items()}
        return 1 / (1 + math.exp(-self.bias - sum(adds.values()))), adds

    @staticmethod
    def over(value: float, usual: float) -> float:
        return math.log(value / usual) if value > usual else 0.0

    def spread(self, key: Any, item: int, now: float) -> float:
        """Count exactly: the kernel's sketch is compared within its error."""
        window = int((now - EPOCH) / 600)
        windows = self.windows.setdefault(key, {})
        windows.setdefault(window, set()).add(item)
        return len(windows[window] | windows.get(window - 1, set()))

    def odds(self, key: Any, tick: int) -> float:
        tried = self.tries.setdefault(key, Tried())
        tried.fade(tick)
        return math.log((tried.failed + 1) / (tried.tried + 10) / 0.1)

    def value_count(self, level: str, value: int, tick: int) -> float:
        count, since = self.values.get((level, value), (0.0, tick))
        return count * math.exp(-(tick - since) / 10 / (30 * 86_400))

    def identity(self, profile: Profile, row: dict[str, int], tick: int) -> dict[str, float]:
        signals = {}
        n = 0
        for name, levels in zip(("address", "agent", "device"), LEVELS, strict=True):
            entries = profile.sides[name != "address"]
            n = sum(count for count, _ in entries)
            present = [level for level in levels if row[level]]
            if not present:
                continue
            varied = levels[1] if len(levels) > 1 and row[levels[1]] else levels[0]
            m = len({entry[varied] for _, entry in entries})
            known, within = 0.0, 1.0
            for level in present:
                same = sum(count for count, entry in entries if entry[level] == row[level])
                share = (self.value_count(level, row[level], tick) + 1) / (
                    self.visits + self.distinct.get(level, 0) + 1
                )
                known += LEVEL_WEIGHTS[level] * (same / n) / share if same else 0.0
                within = share if same and level == "country" else within
            known *= within / sum(LEVEL_WEIGHTS[level] for level in present)
            floor = {"address": -3.0, "agent": -0.5, "device": -0.7}[name]
            signals[name] = min(6.0, max(floor, -math.log(m / (n + m) + n / (n + m) * known)))
        account = math.log(max(1, self.visits) / max(1, len(self.profiles)) / n)
        return signals | {"account": min(1.0, max(-1.0, account))}

    @staticmethod
    def travel(profile: Profile, facts: dict[str, float], tick: int) -> float:
        if not facts["located"] or profile.place is None:
            return 0.0
        (a, b), (c, d) = profile.place, (facts["latitude"], facts["longitude"])
        a, b, c, d = map(math.radians, (a, b, c, d))
        half = math.sin((c - a) / 2) ** 2 + math.cos(a) * math.cos(c) * math.sin((d - b) / 2) ** 2
        distance = 2 * 6371 * math.asin(math.sqrt(min(1.0, half)))
        speed = distance / ((tick - profile.seen) / 36_000 + 1 / 60)
        return math.log(speed / 500) if distance >= 100 and speed >= 500 else 0.0

    @staticmethod
    def hour(profile: Profile, tick: int) -> float:
        total = sum(profile.hours)
        if total < 8:
            return 0.0
        here = profile.hours[tick // 216_000 % WEEK_BLOCKS]
        return min(2.0, max(-1.0, -math.log((here + 0.5) / (total + 14) * WEEK_BLOCKS)))

    def outcome(self, row: dict[str, int], now: float, *, failed: bool) -> None:
        for key in (("a", row["address"]), ("u", row["user"])):
            tried = self.tries.setdefault(key, Tried())
            tried.fade(int((now - EPOCH) * 10))
            tried.failed += failed
            tried.tried += 1

    def learn(self, row: dict[str, int], facts: dict[str, float]) -> None:
        tick = int((facts["now"] - EPOCH) * 10)
        for key in self.keys(row):
            if self.counters[key].surprise() < 3:
                self.counters[key].counts[2] += 1
        profile = self.profiles.setdefault(row["user"], Profile())
        sides = [{level: row[level] for level in levels} for levels in (LEVELS[0], LEVELS[1] + LEVELS[2])]
        known = all(
            any(entry == side for _, entry in entries) for entries, side in zip(profile.sides, sides, strict=True)
        )
        if known and tick - profile.seen < 600:
            return
        profile.seen = tick
        profile.place = self.rounded(facts)
        for entries, side, near in zip(
            profile.sides, sides, (("network", "country"), ("system", "fingerprint")), strict=True
        ):
            self.learn_entry(entries, side, near)
        block = tick // 216_000 % WEEK_BLOCKS
        profile.hours[block] = min(3, profile.hours[block] + 1)
        if sum(profile.hours) > 60:
            profile.hours = [hour // 2 for hour in profile.hours]
        self.visits += 1
        for level, value in (sides[0] | sides[1]).items():
            if value:
                before = self.value_count(level, value, tick)
                self.distinct[level] = self.distinct.get(level, 0) + (before < 0.5)
                self.values[level, value] = (before + 1, tick)

    @staticmethod
    def rounded(facts: dict[str, float]) -> tuple[float, float] | None:
        if not facts["located"]:
            return None
        north = int((facts["latitude"] + 90) * 2047 / 180 + 0.5) * 180 / 2047 - 90
        return north, int((facts["longitude"] + 180) * 4095 / 360 + 0.5) * 360 / 4095 - 180

    @staticmethod
    def learn_entry(entries: list[list[Any]], entry: dict[str, int], near: tuple[str, str]) -> None:
        for known in entries:
            if known[1] == entry:
                if known[0] == 31:
                    for other in entries:
                        other[0] = max(1, other[0] // 2)
                known[0] += 1
                return
        if len(entries) < 5:
            entries.append([1, entry])
            return
        alike = [known for known in entries if all(known[1][level] == entry[level] for level in near)]
        replaced = min(alike or entries, key=lambda known: known[0])
        replaced[0], replaced[1] = min(31, replaced[0] + 1) if alike else 1, entry
