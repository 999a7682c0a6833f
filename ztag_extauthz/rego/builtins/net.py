"""Networks and addresses. An IPv4 address within IPv6 (`::ffff:10.0.0.1`) is the IPv4 address, as Go has it."""

import ipaddress
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from ztag_extauthz.rego.builtins.interface import Context, builtin, check_size, string
from ztag_extauthz.rego.errors import BuiltinError
from ztag_extauthz.rego.values import Value, key, members, unkey

_DIGITS: Final = re.compile(r"[0-9]{1,8}")
_V4_PREFIX: Final = 0xFFFF << 32
_V4_ALL: Final = (1 << 32) - 1


class Network(NamedTuple):
    """The first and last address, as numbers of one version."""

    version: int
    first: int
    last: int

    def contains(self, version: int, address: int) -> bool:
        return version == self.version and self.first <= address <= self.last

    @property
    def text(self) -> str:
        bits = (32 if self.version == 4 else 128) - (self.last - self.first).bit_length()
        return f"{address_text(self.version, self.first)}/{bits}"


@lru_cache(maxsize=4096)
def parse_address(text: str) -> tuple[int, int] | None:
    """Give version and number of an address; None where it is none, or has a zone."""
    if "%" in text or not text.isascii() or "/" in text:
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    number = int(address)
    if address.version == 6 and number >> 32 == 0xFFFF:
        return 4, number & _V4_ALL
    return address.version, number


def address_text(version: int, number: int) -> str:
    return str(ipaddress.IPv4Address(number) if version == 4 else ipaddress.IPv6Address(number))


@lru_cache(maxsize=4096)
def _parse_network(text: str) -> Network | None:
    address, slash, bits = text.partition("/")
    parsed = parse_address(address)
    if parsed is None or not slash or not _DIGITS.fullmatch(bits):
        return None
    width = 128 if ":" in address else 32
    length = int(bits)
    if length > width:
        return None
    version, number = parsed
    if version == 4 and width == 128:
        number |= _V4_PREFIX
    host = (1 << (width - length)) - 1
    first, last = number & ~host, number | host
    if width == 128 and first >> 32 == 0xFFFF:
        # Only a network that keeps the prefix is one of IPv4 addresses.
        return Network(4, first & _V4_ALL, last & _V4_ALL)
    return Network(4 if width == 32 else 6, first, last)


def network(value: Value) -> Network:
    parsed = _parse_network(string(value, 1))
    if parsed is None:
        raise BuiltinError(f"invalid CIDR address: {value}")
    return parsed


@builtin("net.cidr_is_valid")
def cidr_is_valid(text: Value) -> Value:
    return text.__class__ is str and _parse_network(text) is not None


@builtin("net.cidr_contains")
def cidr_contains(cidr: Value, other: Value) -> Value:
    outer, text = network(cidr), string(other, 1)
    address = parse_address(text)
    if address is not None:
        return outer.contains(*address)
    inner = _parse_network(text)
    if inner is None:
        raise BuiltinError(f"not a valid textual representation of an IP address or CIDR: {text}")
    return outer.version == inner.version and outer.first <= inner.first and inner.last <= outer.last


@builtin("net.cidr_intersects")
def cidr_intersects(left: Value, right: Value) -> Value:
    ours, theirs = network(left), network(right)
    return ours.contains(theirs.version, theirs.first) or theirs.contains(ours.version, ours.first)


@builtin("net.cidr_expand", context=True)
def cidr_expand(context: Context, cidr: Value) -> Value:
    net = network(cidr)
    check_size(net.last - net.first + 1)
    context.check()
    return frozenset(address_text(net.version, number) for number in range(net.first, net.last + 1))


def _candidates(value: Value, position: int) -> Iterator[tuple[Value, Value]]:
    """Give each network or address of an operand with what stands for it in the answer."""
    kind = value.__class__
    if kind is str:
        yield value, value
        return
    if kind is list:
        items = enumerate(value)
    elif kind is dict:
        items = ((unkey(form), item) for form, item in value.items())  # type: ignore[assignment]
    elif kind is frozenset:
        items = ((item, item) for item in members(value))  # type: ignore[assignment]
    else:
        return
    for name, item in items:
        if item.__class__ is list and item:
            yield item[0], name
        elif item.__class__ is str:
            yield item, name
        else:
            raise BuiltinError(f"operand {position}: element must be string or non-empty array")


@builtin("net.cidr_contains_matches", context=True)
def cidr_contains_matches(context: Context, cidrs: Value, others: Value) -> Value:
    found = set()
    for cidr, place in _candidates(cidrs, 1):
        context.check()
        for other, other_place in _candidates(others, 2):
            if cidr_contains(cidr, other):
                found.add(key([place, other_place]))
    check_size(len(found))
    return frozenset(found)
