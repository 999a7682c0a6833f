"""Request and identity → a row of keyed hashes and a row of numbers."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec.structs import replace

from ztag_extauthz.authorization.risk.layout import (
    ADDRESS,
    AGENT,
    BROWSER,
    COUNTRY,
    FINGERPRINT,
    LATITUDE,
    LISTED,
    LOCATED,
    LONGITUDE,
    NETWORK,
    NOW,
    ROUTE,
    SYSTEM,
    TOKEN_AGE,
    USER,
)
from ztag_extauthz.hosts import host_of
from ztag_extauthz.stores.addresses import NOWHERE
from ztag_extauthz.traits import client_address, route

if TYPE_CHECKING:
    from collections.abc import Callable, Container, MutableSequence

    from ztag_extauthz.model import Identity, Request
    from ztag_extauthz.stores.addresses import Place

REMEMBERED = 1 << 14
_NUMBER = (int, float)  # a union would be made anew for each request
_BROWSERS = re.compile(
    r"(Edg|OPR|SamsungBrowser|YaBrowser|Vivaldi|Firefox|FxiOS|CriOS|Chrome|Version(?=/[\d.]+ .*Safari))[a-zA-Z]*/(\d+)"
)
_SYSTEMS = re.compile(r"(Windows NT [\d.]+|Android \d+|iPhone OS \d+|iPad|CrOS|Mac OS X|Linux)")
_PRODUCT = re.compile(r"[^\s/;(]{1,64}")


@lru_cache(REMEMBERED)
def agent(text: str) -> tuple[str, str]:
    """Return browser with its major version, and operating system; a program's product name where it is no browser."""
    text = text[:512]
    found, system = _BROWSERS.search(text), _SYSTEMS.search(text)
    product = _PRODUCT.match(text)
    browser = f"{found[1]}/{found[2]}" if found else product[0] if product else ""
    return browser, system[0] if system else ""


class Features:
    """Fills in the rows of one request. What is not there is 0."""

    def __init__(
        self,
        digest: Callable[[str], int],
        locate: Callable[[str], Place] = lambda _: NOWHERE,
        threats: Container[str] = (),
        fingerprint_header: str = "",
        trusted_proxies: int = 0,
    ) -> None:
        self._digest = digest
        self._locate = locate
        self._threats = threats
        self._fingerprint = fingerprint_header.lower()
        self._proxies = trusted_proxies
        self._read = {"user-agent", "x-forwarded-for", self._fingerprint}
        self._agent_hashes = lru_cache(REMEMBERED)(self._agent)

    def _agent(self, text: str) -> tuple[int, int, int]:
        browser, system = agent(text)
        return (
            self._digest(f"agent\x1f{text}"),
            self._digest(f"browser\x1f{browser}") if browser else 0,
            self._digest(f"system\x1f{system}") if system else 0,
        )

    def bare(self, request: Request) -> Request:
        """Return a request with what is read of it, and the scheme of its credential; without the credential itself."""
        headers = {name: request.headers[name] for name in self._read if name in request.headers}
        scheme = request.headers.get("authorization", "").partition(" ")
        headers |= {"authorization": "".join(scheme[:2])} if scheme[1] else {}
        path = request.path.partition("?")[0]
        return replace(request, path=path, headers=headers, body=None, attributes=lambda *_: {})

    def fill(
        self,
        row: MutableSequence[int],
        facts: MutableSequence[float],
        request: Request,
        identity: Identity | None,
        now: float,
    ) -> None:
        """Fill in both rows; `identity` is None where nobody could be identified."""
        digest, headers = self._digest, request.headers
        address = client_address(request, self._proxies)
        row[USER] = digest(_user(identity, address))
        row[ADDRESS] = digest(f"address\x1f{address}")
        place = self._locate(address)
        row[NETWORK] = digest(f"network\x1f{place.network}") if place.network else 0
        row[COUNTRY] = digest(f"country\x1f{place.country}") if place.country else 0
        user_agent = headers.get("user-agent", "")
        row[AGENT], row[BROWSER], row[SYSTEM] = self._agent_hashes(user_agent) if user_agent else (0, 0, 0)
        fingerprint = headers.get(self._fingerprint, "") if self._fingerprint else ""
        row[FINGERPRINT] = digest(f"fingerprint\x1f{fingerprint}") if fingerprint else 0
        row[ROUTE] = digest(f"route\x1f{request.method} {host_of(request.host)}{route(request.path)}")
        facts[NOW] = now
        facts[LATITUDE], facts[LONGITUDE], facts[LOCATED] = place.latitude, place.longitude, float(place.located)
        issued = identity.claims.get("iat") if identity else None
        facts[TOKEN_AGE] = now - issued if isinstance(issued, _NUMBER) else -1.0
        facts[LISTED] = 1.0 if address in self._threats else 0.0


def _user(identity: Identity | None, address: str) -> str:
    """Return whose profile it is. Who is nobody is one nobody an address: not one profile for all."""
    if identity is None or identity.kind == "anonymous":
        return f"nobody\x1f{address}"
    return f"user\x1f{identity.issuer}\x1f{identity.subject}"
