"""A synthetic stream of logins, and three attackers after the models of Wiefling et al. (TOPS 2022). Never real data.

Users: a country, one or two home networks, an address that their provider changes now and then, half of them also a
phone whose address changes all the time; one or two devices whose browsers are updated every six weeks; hours of their
own. Some logins are from a new device (0.4 %), on a journey (0.3 %), or from another network at home (0.3 %).

naive       an address of a host anywhere in the world, a tool or a popular browser
vpn         knows the victim's country: a VPN's exit there, a popular browser
targeted    knows country, browser, system and device exactly: a residential proxy there, of any of its networks by
            their share, which may by chance be the victim's own
"""

from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

COUNTRIES, NETWORKS, HOSTERS, BROWSERS, SYSTEMS, TOOLS = 40, 25, 200, 5, 6, 20
USERS, DAYS, LOGINS = 20_000, 60, 40
START = 1_800_000_000.0
WEEKS_OF_A_VERSION = 6

Ids = NDArray[np.int64]


class Logins(Struct):
    """Columns of a log in the order of time; ids are small numbers, 0 is nothing."""

    time: NDArray[np.float64]
    user: Ids
    address: Ids
    network: Ids
    country: Ids
    agent: Ids
    browser: Ids
    system: Ids
    fingerprint: Ids
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    attacker: Ids
    """0: the user; 1 naive, 2 vpn, 3 targeted."""


def _zipf(count: int, power: float = 1.0) -> NDArray[np.float64]:
    shares = 1.0 / np.arange(1, count + 1) ** power
    total: NDArray[np.float64] = shares / shares.sum()
    return total


class World:
    """Who the users are."""

    def __init__(self, seed: int) -> None:
        self.random = random = np.random.default_rng(seed)
        self.country = random.choice(COUNTRIES, USERS, p=_zipf(COUNTRIES)) + 1
        self.home = self._network(self.country)
        self.second = np.where(random.random(USERS) < 0.5, self._network(self.country), self.home)
        self.phone = np.where(random.random(USERS) < 0.5, self._network(self.country, mobile=True), 0)
        self.browsers = self._browser(), self._browser()
        self.systems = random.choice(SYSTEMS, (2, USERS), p=_zipf(SYSTEMS)) + 1
        self.second_device = random.random(USERS) < 0.6
        self.hour = random.normal(16, 3, USERS)
        self.journey = np.where(random.random((DAYS, USERS)) < 0.003, random.choice(COUNTRIES, (DAYS, USERS)) + 1, 0)
        self.updates = random.random(USERS)
        self.place = random.uniform(-60, 60, COUNTRIES + 1), random.uniform(-170, 170, COUNTRIES + 1)

    def _network(self, country: Ids, *, mobile: bool = False) -> Ids:
        """Draw a provider of the country by its share; mobile ones are others."""
        drawn = self.random.choice(NETWORKS, len(country), p=_zipf(NETWORKS, 0.6)) + 1
        return country * 1000 + drawn + (500 if mobile else 0)

    def _browser(self) -> Ids:
        return self.random.choice(BROWSERS, USERS, p=_zipf(BROWSERS)) + 1

    def benign(self) -> Logins:
        """Return the users' own logins, unsorted."""
        random, count = self.random, USERS * LOGINS
        user = random.integers(0, USERS, count)
        day = random.integers(0, DAYS, count)
        time = START + day * 86_400.0 + (self.hour[user] + random.normal(0, 2, count)) % 24 * 3600
        country, network = (
            self.country[user].copy(),
            np.where(random.random(count) < 0.7, self.home[user], self.second[user]),
        )
        lease = day // random.integers(7, 60, USERS)[user]
        address = network * 10_000_000 + user * 64 + lease
        mobile = (self.phone[user] > 0) & (random.random(count) < 0.35)
        network = np.where(mobile, self.phone[user], network)
        address = np.where(mobile, network * 10_000_000 + random.integers(0, 4096, count) + 5_000_000, address)
        elsewhere, journey = random.random(count) < 0.003, self.journey[day, user] > 0
        network = np.where(elsewhere, self._network(country), network)
        country = np.where(journey, self.journey[day, user], country)
        network = np.where(journey, self._network(country), network)
        address = np.where(elsewhere | journey, network * 10_000_000 + random.integers(0, 4_000_000, count), address)
        device = (self.second_device[user] & (random.random(count) < 0.3)).astype(np.int64)
        browser = np.where(device, self.browsers[1][user], self.browsers[0][user])
        system = self.systems[device, user]
        fresh = random.random(count) < 0.004
        browser = np.where(fresh, random.choice(BROWSERS, count, p=_zipf(BROWSERS)) + 1, browser)
        system = np.where(fresh, random.choice(SYSTEMS, count, p=_zipf(SYSTEMS)) + 1, system)
        return self._logins(time, user, address, network, country, browser, system, np.zeros(count, np.int64))

    def attacks(self, kind: int, count: int) -> Logins:
        """Return logins of one attacker, each at another user, at any hour of the last third."""
        random = self.random
        user = random.integers(0, USERS, count)
        time = START + random.uniform(DAYS * 2 / 3, DAYS, count) * 86_400
        popular = random.choice(BROWSERS, count, p=_zipf(BROWSERS)) + 1
        system = random.choice(SYSTEMS, count, p=_zipf(SYSTEMS)) + 1
        if kind == 1:
            country = random.integers(1, COUNTRIES + 1, count)
            network = 900_000 + random.integers(0, HOSTERS, count)
            popular = np.where(random.random(count) < 0.5, 50 + random.integers(0, TOOLS, count), popular)
        elif kind == 2:
            country = self.country[user]
            network = 800_000 + country * 10 + random.integers(0, 10, count)
        else:
            country = self.country[user]
            network = self._network(country)
            popular, system = self.browsers[0][user], self.systems[0, user]
        address = network * 10_000_000 + random.integers(0, 4_000_000, count)
        return self._logins(time, user, address, network, country, popular, system, np.full(count, kind, np.int64))

    def _logins(
        self,
        time: NDArray[np.float64],
        user: Ids,
        address: Ids,
        network: Ids,
        country: Ids,
        browser: Ids,
        system: Ids,
        attacker: Ids,
    ) -> Logins:
        version = ((time - START) / (WEEKS_OF_A_VERSION * 7 * 86_400) + self.updates[user]).astype(np.int64) + 1
        near = self.random.normal(0, 1.5, (2, len(user)))
        return Logins(
            time,
            user + 1,
            address,
            network,
            country,
            agent=(browser * 100 + version) * 10 + system,
            browser=browser * 100 + version,
            system=system,
            fingerprint=browser * 10 + (version + 1) // 2,
            latitude=self.place[0][country] + near[0],
            longitude=self.place[1][country] + near[1],
            attacker=attacker,
        )


def stream(seed: int = 1, attacks: int = 2000) -> Logins:
    """Return users and attackers together, in the order of time."""
    world = World(seed)
    parts = [world.benign(), *(world.attacks(kind, attacks) for kind in (1, 2, 3))]
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in Logins.__struct_fields__
    }
    order = np.argsort(columns["time"], kind="stable")
    return Logins(**{name: column[order] for name, column in columns.items()})
