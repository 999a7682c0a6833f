"""`net.cidr_merge`: the fewest networks that cover the given ones, as OPA finds them."""

import ipaddress
from collections.abc import Iterator
from typing import Final, NamedTuple

from ztag_extauthz.rego.builtins.interface import builtin
from ztag_extauthz.rego.builtins.net import address_text, network, parse_address
from ztag_extauthz.rego.errors import BuiltinError, EvaluationError
from ztag_extauthz.rego.values import Value, members

_V4: Final = 0xFFFF << 32
_V4_END: Final = _V4 + (1 << 32)
_CLASSES: Final = ((128, 8), (192, 16))


class _Range(NamedTuple):
    """Addresses of IPv6, in which those of IPv4 have their place; the text where nothing was merged yet."""

    last: int
    first: int
    text: str

    @property
    def version(self) -> int:
        return 4 if _V4 <= self.first < _V4_END else 6


@builtin("net.cidr_merge")
def cidr_merge(values: Value) -> Value:
    if values.__class__ is list:
        items = values
    elif values.__class__ is frozenset:
        items = members(values)
    else:
        raise BuiltinError("operand must be an array")
    ranges = sorted(map(_range, items), key=lambda item: item[:2])
    return frozenset(text for item in _merged(ranges) for text in _networks(item))


def _range(value: Value) -> _Range:
    if value.__class__ is not str:
        raise BuiltinError("element must be string")
    address = parse_address(value)
    if address is not None:
        return _classful(*address)
    net = network(value)
    if net.version == 4 and ":" in value:
        raise EvaluationError("eval_unsupported_error", "net.cidr_merge: IPv4 networks are written as such")
    offset = _V4 if net.version == 4 else 0
    return _Range(net.last + offset, net.first + offset, net.text)


def _classful(version: int, number: int) -> _Range:
    """Take an address for the network of its class (A, B or C), as OPA does."""
    if version == 6:
        raise BuiltinError("IPv6 invalid: needs prefix length")
    bits = next((bits for limit, bits in _CLASSES if number >> 24 < limit), 24)
    host = (1 << (32 - bits)) - 1
    return _Range(_V4 + (number | host), _V4 + (number & ~host), f"{address_text(4, number)}/{bits}")


def _merged(ranges: list[_Range]) -> list[_Range]:
    for place in range(len(ranges) - 1, 0, -1):
        current, before = ranges[place], ranges[place - 1]
        previous = current.first - (current.first not in (0, _V4))
        if previous <= before.last:
            if current.version != before.version:
                raise EvaluationError("eval_unsupported_error", "net.cidr_merge: IPv4 next to IPv6")
            ranges[place - 1 : place + 1] = [_Range(current.last, min(before.first, current.first), "")]
    return ranges


def _networks(item: _Range) -> Iterator[str]:
    if item.text:
        yield item.text
        return
    if item.version == 4:
        ends = ipaddress.IPv4Address(item.first - _V4), ipaddress.IPv4Address(item.last - _V4)
        yield from map(str, ipaddress.summarize_address_range(*ends))
    else:
        far = ipaddress.IPv6Address(item.first), ipaddress.IPv6Address(item.last)
        yield from map(str, ipaddress.summarize_address_range(*far))
