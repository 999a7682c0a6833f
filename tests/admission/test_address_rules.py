"""From where may they ask?"""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet
from pydantic import ValidationError

from tests.requests import make_request
from ztag_extauthz.admission.address_rules import AddressRules, AddressRulesSettings
from ztag_extauthz.component import Resources
from ztag_extauthz.errors import SettingsError
from ztag_extauthz.meter import Meter
from ztag_extauthz.model import Reason
from ztag_extauthz.stores.addresses import AddressSet
from ztag_extauthz.stores.geo import Places


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a database of three networks, and a list."""
    writer = MMDBWriter(ip_version=6, ipv4_compatible=True, database_type="Test-City-ASN")
    for network, country, number in (
        ("192.0.2.0/24", "DE", 64496),
        ("198.51.100.0/24", "FR", 64497),
        ("2001:db8::/32", "DE", 64498),
    ):
        place = {"country": {"iso_code": country}, "autonomous_system_number": number}
        writer.insert_network(IPSet([network]), {**place, "location": {"latitude": 52.5, "longitude": 13.4}})
    writer.to_db_file(str(tmp_path / "places.mmdb"))
    (tmp_path / "bad.txt").write_text("# known for trouble\n203.0.113.0/24  # all of it\n\n2001:db8:bad::/48\n")
    return tmp_path


def gate(folder: Path, **settings: Any) -> AddressRules:
    resources = Resources(folder, lambda: 0.0, Meter([0.0] * 1000))
    return AddressRulesSettings.model_validate(settings).build(resources)


def refused(folder: Path, address: str, **settings: Any) -> bool:
    verdict = asyncio.run(gate(folder, **settings).admit(make_request(address), 0))
    assert verdict is None or verdict.reason is Reason.BLOCKED_ADDRESS
    return verdict is not None


@pytest.mark.parametrize(
    ("settings", "denied", "admitted"),
    [
        ({"deny": ["203.0.113.0/24"]}, "203.0.113.9", "192.0.2.1"),
        ({"deny": ["2001:db8:1::/48"]}, "2001:db8:1::7", "2001:db8:2::7"),
        ({"deny_files": ["bad.txt"]}, "203.0.113.9", "192.0.2.1"),
        ({"deny_files": ["bad.txt"]}, "2001:db8:bad::1", "2001:db8::1"),
        ({"allow": ["192.0.2.0/24"]}, "198.51.100.1", "192.0.2.1"),
        ({"allow": ["0.0.0.0/0"], "deny": ["192.0.2.1"]}, "192.0.2.1", "192.0.2.2"),
        ({"allow": ["0.0.0.0/0"]}, "", "192.0.2.2"),
        ({"databases": ["places.mmdb"], "deny_countries": ["FR"]}, "198.51.100.1", "192.0.2.1"),
        ({"databases": ["places.mmdb"], "allow_countries": ["DE"]}, "203.0.113.9", "192.0.2.1"),
        ({"databases": ["places.mmdb"], "deny_networks": [64498]}, "2001:db8::1", "192.0.2.1"),
    ],
)
def test_rules(folder: Path, settings: dict[str, Any], denied: str, admitted: str) -> None:
    assert refused(folder, denied, **settings)
    assert not refused(folder, admitted, **settings)
    assert not refused(folder, denied, **settings, dry_run=True)


def test_an_address_that_a_client_claims_is_not_its_own(folder: Path) -> None:
    claiming = make_request("203.0.113.9", headers={"x-forwarded-for": "192.0.2.1"})
    assert asyncio.run(gate(folder, allow=["192.0.2.0/24"]).admit(claiming, 0)) is not None


def test_places(folder: Path) -> None:
    places = Places(folder, ["places.mmdb"])
    assert (places("192.0.2.1").country, places("192.0.2.1").network, places("192.0.2.1").located) == (
        "DE",
        64496,
        True,
    )
    assert places("203.0.113.9").country == places("").country == ""


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"deny": ["203.0.113.0/99"]}, "203.0.113.0/99"),
        ({"deny_countries": ["FR"]}, "need `databases`"),
    ],
)
def test_mistakes_are_found_at_load(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        AddressRulesSettings.model_validate(settings)


def test_a_bad_line_is_named(folder: Path) -> None:
    (folder / "bad.txt").write_text("192.0.2.1\n300.1.1.1\n")
    with pytest.raises(SettingsError, match=r"none\.txt: cannot be used: No such file or directory$"):
        gate(folder, deny_files=["none.txt"])
    with pytest.raises(SettingsError, match=r"bad\.txt: cannot be used: line 2"):
        gate(folder, deny_files=["bad.txt"])


def test_a_database_that_is_none_is_told(folder: Path) -> None:
    with pytest.raises(SettingsError, match=r"bad\.txt: cannot be used"):
        gate(folder, databases=["bad.txt"])


def test_neighbours_are_joined() -> None:
    networks = AddressSet(["10.0.0.0/9", "10.128.0.0/9", "10.3.0.0/16", "2001:db8::/64"])
    assert len(networks) == 2
    assert "10.255.255.255" in networks
    assert "11.0.0.0" not in networks
    assert "2001:db8::/64" in networks
    assert "nonsense" not in networks
