"""Hosts: which one a request is for, and where one is."""

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator

_PATTERN: Final = re.compile(r"(?:\*\.)?[a-z0-9_~-]+(?:\.[a-z0-9_~-]+)*|\[[0-9a-f:.]+\]")


def host_of(authority: str) -> str:
    """Return the one spelling of a host as clients may write it: `Shop.example.:443` is `shop.example`.

    Whatever follows a colon is no part of it, a port or not: upstreams cut there, too.
    """
    lower = authority.lower()
    name, bracket, rest = lower.rpartition("]")
    return (name + bracket + rest.partition(":")[0]).rstrip(".")


def is_at(authority: str, patterns: Iterable[str]) -> bool:
    """Say whether an authority is at one of the hosts; `*.shop.example` is all below it, and not itself."""
    host = host_of(authority)
    return any(host == each or (each.startswith("*.") and host.endswith(each[1:])) for each in patterns)


def _pattern(text: str) -> str:
    pattern = text.lower().removesuffix(".")
    if not _PATTERN.fullmatch(pattern):
        raise ValueError(f"{text!r:.80} is no host\nwrite shop.example, *.shop.example or [::1], without a port")
    return pattern


HostPattern: TypeAlias = Annotated[str, AfterValidator(_pattern)]
"""What `is_at` compares with: `shop.example`, `*.shop.example`, `[::1]`."""


def is_loopback(host: str) -> bool:
    """Say whether a host, an address or `localhost`, is this machine itself."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
