"""What a request says of itself in few words: the client's address, its route, any other part that keys are made of.

Rule: nothing that a client can write at will is taken for its address. Envoy states the peer; what proxies in front of
Envoy appended to `x-forwarded-for` counts only as far as the operator says how many of them there are.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address
from socket import AF_INET, inet_pton
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field

from ztag_extauthz.hosts import host_of
from ztag_extauthz.model import Identity, Request

Part: TypeAlias = Callable[[Request, Identity | None], str]
"""Takes one part of a request or of an identity; "" where there is none."""

TrustedProxies = Annotated[int, Field(ge=0, le=16)]
"""Entries at the end of `x-forwarded-for` that proxies of yours wrote, Envoy among them where it appends its peer
(`use_remote_address`); the first of those is the client. 0: the peer of the connection is the client."""

_VARIABLE = re.compile(r"/(?:[0-9]+|[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|[0-9a-fA-F]{16,}|[\w.~+=%@:-]{25,})(?=/|$)")
_MEMORY = 16384


def client_address(request: Request, trusted_proxies: int = 0) -> str:
    """Return the client's address, an IPv6 one as its /64: who has one address of it has them all.

    The nth entry from the right of `x-forwarded-for` was written by the nth trusted proxy. Fewer entries than proxies
    mean that somebody went around them: then the peer itself is the client.
    """
    if trusted_proxies:
        hops = request.headers.get("x-forwarded-for", "").rsplit(",", trusted_proxies)
        if len(hops) >= trusted_proxies and (address := network(hops[-trusted_proxies].strip())):
            return address
    return network(request.source.address)


@lru_cache(_MEMORY)
def network(address: str) -> str:
    """Return an IPv4 address as it is, an IPv6 address as its /64, and "" for anything else."""
    try:
        if ":" not in address:
            inet_pton(AF_INET, address)
            return address
        parsed = IPv6Address(address.partition("%")[0])
    except (OSError, ValueError):
        return ""
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"


@lru_cache(_MEMORY)
def route(path: str) -> str:
    """Return the path without its query, numbers, UUIDs and other identifiers replaced by `*`: `/orders/*/items`."""
    bare = path.partition("?")[0]
    return _VARIABLE.sub("/*", bare[:1024])


def part(name: str, trusted_proxies: int = 0) -> Part:
    """Return the function that takes the part `name`; raises `ValueError` for a name that there is not."""
    kind, _, argument = name.partition(":")
    if kind == "address":
        return lambda request, _: client_address(request, trusted_proxies)
    if not argument and kind in _PLAIN:
        return _PLAIN[kind]
    if argument and kind in _NAMED:
        return _NAMED[kind](argument)
    raise ValueError(
        f"{name!r} is no part of a request or an identity: "
        + ", ".join(["address", *_PLAIN, *(f"{named}:NAME" for named in _NAMED)])
    )


def is_of_identity(name: str) -> bool:
    """Whether the part is known only after authentication."""
    return name.partition(":")[0] in {"subject", "issuer", "kind", "claim"}


def _header(name: str) -> Part:
    lower = name.lower()
    return lambda request, _: request.headers.get(lower, "")


def _extension(name: str) -> Part:
    return lambda request, _: request.context_extensions.get(name, "")


def _claim(name: str) -> Part:
    return lambda _, identity: str(identity.claims.get(name, "")) if identity else ""


_PLAIN: dict[str, Part] = {
    "method": lambda request, _: request.method,
    "host": lambda request, _: host_of(request.host),
    "path": lambda request, _: request.path.partition("?")[0],
    "route": lambda request, _: route(request.path),
    "principal": lambda request, _: request.source.principal,
    "subject": lambda _, identity: f"{identity.issuer} {identity.subject}" if identity else "",
    "issuer": lambda _, identity: identity.issuer if identity else "",
    "kind": lambda _, identity: identity.kind if identity else "",
}
_NAMED: dict[str, Callable[[str], Part]] = {"header": _header, "extension": _extension, "claim": _claim}


def _check(name: str) -> str:
    part(name)
    return name


PartName = Annotated[str, AfterValidator(_check)]
"""`address`, `route`, `subject`, `header:x-api-key`, `claim:tenant` …"""
