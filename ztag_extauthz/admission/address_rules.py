"""From where may they ask? Networks, countries and autonomous systems that are refused, or the only ones allowed."""

from typing import ClassVar

from pydantic import Field, field_validator, model_validator

from ztag_extauthz.admission.interface import Gate
from ztag_extauthz.again import ALWAYS, Again
from ztag_extauthz.component import Resources
from ztag_extauthz.model import Deny, Reason, Request
from ztag_extauthz.section import Section
from ztag_extauthz.stores.addresses import AddressSet
from ztag_extauthz.stores.geo import AddressLists, Places
from ztag_extauthz.traits import TrustedProxies, client_address


class AddressRulesSettings(Section):
    """Rules about the client's address. What is denied stays denied; where something is allowed, all else is denied."""

    file_fields = ("deny_files", "databases")

    deny: tuple[str, ...] = ()
    """Networks: `203.0.113.0/24`, `2001:db8::/32` …"""
    deny_files: tuple[str, ...] = ()
    """Files with a network a line."""
    allow: tuple[str, ...] = ()
    """The only networks from which requests are accepted."""
    databases: tuple[str, ...] = ()
    """MaxMind-format databases (country, city, ASN) (extra `geo`)."""
    deny_countries: tuple[str, ...] = ()
    """ISO 3166-1 codes: `XX`."""
    allow_countries: tuple[str, ...] = ()
    """The only countries from which requests are accepted; an address of no known country is refused."""
    deny_networks: tuple[int, ...] = ()
    """Numbers of autonomous systems."""
    trusted_proxies: TrustedProxies = 0
    """Entries at the end of `x-forwarded-for` that proxies of yours wrote, Envoy among them where it appends its peer
    (`use_remote_address`); the first of those is the client. 0: the peer of the connection is the client."""
    dry_run: bool = Field(default=False)
    """Refuse nothing."""

    @field_validator("deny", "allow")
    @classmethod
    def _are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        AddressSet(networks)
        return networks

    @model_validator(mode="after")
    def _has_databases(self) -> "AddressRulesSettings":
        if (self.deny_countries or self.allow_countries or self.deny_networks) and not self.databases:
            raise ValueError("rules about countries or autonomous systems need `databases`")
        return self

    def build(self, resources: Resources) -> "AddressRules":
        return AddressRules(self, resources)


class AddressRules(Gate):
    """Refuses with 403."""

    kind: ClassVar[str] = "address_rules"

    def __init__(self, settings: AddressRulesSettings, resources: Resources) -> None:
        self._settings = settings
        self._deny, self._allow = AddressSet(settings.deny), AddressSet(settings.allow)
        self._lists = AddressLists(resources.folder, settings.deny_files)
        self._places = Places(resources.folder, settings.databases)

    async def admit(self, request: Request, deadline: float) -> Deny | None:  # noqa: ARG002 - nothing is waited for
        if self._settings.dry_run:
            return None
        why = self._refusal(client_address(request, self._settings.trusted_proxies))
        return Deny(Reason.BLOCKED_ADDRESS, why) if why else None

    def again(self, request: Request) -> Again:
        if self._settings.dry_run:
            return ALWAYS
        address = client_address(request, self._settings.trusted_proxies)
        return Again(lambda _: not self._refusal(address))

    def _refusal(self, address: str) -> str:
        rules = self._settings
        if address in self._deny or address in self._lists:
            return f"{address} is denied"
        if rules.allow and address not in self._allow:
            return f"{address or 'an unknown address'} is not among the allowed networks"
        if not rules.databases:
            return ""
        place = self._places(address)
        if place.country in rules.deny_countries or place.network in rules.deny_networks:
            return f"{address} is of {place.country or 'no known country'}, AS{place.network}"
        if rules.allow_countries and place.country not in rules.allow_countries:
            return f"{address} is of {place.country or 'no known country'}"
        return ""
