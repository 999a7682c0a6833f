"""Sets of addresses, from a file of networks, and where an address is, from a MaxMind-format database."""

from __future__ import annotations

from bisect import bisect_right
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class AddressSet:
    """Networks of both families; a look-up is a bisection, whatever their number."""

    def __init__(self, networks: Iterable[str]) -> None:
        ranges = sorted(_range(network) for network in networks)
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in ranges:
            if self._ends and start <= self._ends[-1] + 1:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._starts.append(start)
                self._ends.append(end)

    def __contains__(self, address: object) -> bool:
        """Whether the address, or the network that `traits.network` made of it, lies in the set."""
        try:
            number = _number(ip_address(str(address).partition("/")[0]))
        except ValueError:
            return False
        place = bisect_right(self._starts, number) - 1
        return place >= 0 and number <= self._ends[place]

    def __len__(self) -> int:
        return len(self._starts)


def read_addresses(path: Path) -> AddressSet:
    """Read a file with an address or a network a line; `#` begins a comment. Raises `ValueError` with the line."""
    networks = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        text = line.partition("#")[0].strip()
        if text:
            try:
                ip_network(text, strict=False)
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from error
            networks.append(text)
    return AddressSet(networks)


def _range(text: str) -> tuple[int, int]:
    network = ip_network(text, strict=False)
    return _number(network.network_address), _number(network.broadcast_address)


def _number(address: IPv4Address | IPv6Address) -> int:
    """Return IPv4 as the IPv6 addresses that it is mapped to: one order for both."""
    return int(address) + (0xFFFF << 32) if address.version == 4 else int(address)


class Place(Struct, frozen=True):
    """Where an address is, as far as the databases know."""

    country: str = ""
    """ISO 3166-1 alpha-2."""
    network: int = 0
    """The number of the autonomous system."""
    latitude: float = 0.0
    longitude: float = 0.0
    located: bool = False


NOWHERE = Place()


def read_database(path: Path) -> Any:
    """Open a MaxMind-format database; raises `ValueError` where it is none."""
    import maxminddb  # noqa: PLC0415 - an extra

    try:
        return maxminddb.open_database(str(path), maxminddb.MODE_MMAP_EXT if _has_extension() else maxminddb.MODE_MMAP)
    except maxminddb.InvalidDatabaseError as error:
        raise ValueError(str(error)) from error


def _has_extension() -> bool:
    from importlib.util import find_spec  # noqa: PLC0415 - rarely asked

    return find_spec("maxminddb.extension") is not None


def locate(databases: Iterable[Any], address: str) -> Place:
    """Join what the databases know of an address."""
    country, network, latitude, longitude, located = "", 0, 0.0, 0.0, False
    for database in databases:
        try:
            found = database.get(address.partition("/")[0])
        except ValueError:
            return NOWHERE
        if not isinstance(found, dict):
            continue
        country = (found.get("country") or {}).get("iso_code", country)
        network = found.get("autonomous_system_number", network)
        place = found.get("location") or {}
        if "latitude" in place and "longitude" in place:
            latitude, longitude, located = float(place["latitude"]), float(place["longitude"]), True
    return Place(country, network, latitude, longitude, located)
