"""UUIDs: made, and read as Google's library reads them."""

import re
from typing import Any, Final

from ztag_extauthz.rego.builtins.golang.text import to_bytes
from ztag_extauthz.rego.builtins.interface import Context, builtin, string
from ztag_extauthz.rego.values import UNDEFINED, Value, key

_PLAIN: Final = re.compile(rb"[0-9a-fA-F]{32}")
_DASHED: Final = re.compile(rb"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PREFIX: Final = b"urn:uuid:"
_EPOCH: Final = 122_192_928_000_000_000  # between 1582-10-15 and 1970-01-01, in steps of 100 ns
_DOMAINS: Final = ("Person", "Group", "Org")
_CAST: Final = ("global:unicast", "global:multicast", "local:unicast", "local:multicast")


@builtin("uuid.rfc4122", context=True)
def rfc4122(context: Context, name: Value) -> Value:
    """Make a random UUID, the same for the same name within one evaluation."""
    place = ("uuid.rfc4122", key(name))
    if place not in context.cache:
        context.cache[place] = str(context.uuid4())
    return context.cache[place]


@builtin("uuid.parse")
def parse(text: Value) -> Value:
    data = _bytes(to_bytes(string(text, 1)))
    if data is None:
        return UNDEFINED
    version = data[6] >> 4
    result: dict[Any, Value] = {"version": version, "variant": _variant(data[8])}
    if version in (1, 2):
        result |= _origin(data)
    if version == 2:
        domain = data[9]
        result["id"] = int.from_bytes(data[:4])
        result["domain"] = _DOMAINS[domain] if domain < len(_DOMAINS) else f"Domain{domain}"
    return result


def _bytes(text: bytes) -> bytes | None:
    if len(text) == 45 and text[:9].lower() == _PREFIX:
        text = text[9:]
    elif len(text) == 38:  # what stands around it is not looked at
        text = text[1:37]
    elif _PLAIN.fullmatch(text):
        return bytes.fromhex(text.decode())
    if len(text) != 36 or not _DASHED.fullmatch(text):
        return None
    return bytes.fromhex(text.replace(b"-", b"").decode())


def _variant(byte: int) -> str:
    if byte & 0xC0 == 0x80:
        return "RFC4122"
    if byte & 0xE0 == 0xC0:
        return "Microsoft"
    return "Future" if byte & 0xE0 == 0xE0 else "Reserved"


def _origin(data: bytes) -> dict[Any, Value]:
    steps = int.from_bytes(data[:4]) | int.from_bytes(data[4:6]) << 32 | (int.from_bytes(data[6:8]) & 0xFFF) << 48
    nanoseconds = ((steps - _EPOCH) * 100 + (1 << 63)) % (1 << 64) - (1 << 63)  # Go's integers wrap around
    return {
        "time": nanoseconds,
        "nodeid": data[10:].hex("-"),
        "macvariables": _CAST[data[10] & 3],
        "clocksequence": int.from_bytes(data[8:10]) & 0x3FFF,
    }
