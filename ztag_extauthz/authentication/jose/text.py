"""base64url and JSON, each value in the one spelling that it has.

A second spelling of the same token would be a second key to every memory of tokens, and a duplicate member is read
differently by different programs; so both are refused (RFC 8725 2.4 and 3.8, RFC 7515 4 and 5.2).
"""

import json
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Sequence
from math import isinf
from typing import Any, NoReturn

MAX_DEPTH = 32
"""Levels of objects and arrays; the claims go on to policies and logs that walk them."""

# `+` and `/` of the ordinary alphabet, and padding, become a character that strict decoding refuses.
_ALPHABET = bytes.maketrans(b"-_+/=", b"+/!!!")
_PADDING = (b"", b"", b"==", b"=")
# The last character must leave no bits over: two characters hold one byte, three hold two.
_LAST = (None, b"", b"AQgw", b"AEIMQUYcgkosw048")


def decode_base64url(text: bytes) -> bytes:
    """Return the bytes of canonical base64url without padding. Raises `ValueError`."""
    remainder = len(text) & 3
    last = _LAST[remainder]
    if last is not None and text[-1:] not in last:
        raise ValueError("not canonical base64url")
    if not text:
        return b""
    try:
        return a2b_base64(text.translate(_ALPHABET) + _PADDING[remainder], strict_mode=True)
    except Base64Error as error:
        raise ValueError("not base64url") from error


def decode_object(text: bytes) -> dict[str, Any]:
    """Return a JSON object. Raises `ValueError` for whatever two readers might understand differently."""
    try:
        value = _DECODER.decode(text.decode())
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if type(value) is not dict:
        raise ValueError("not a JSON object")
    if text.count(b"[") + text.count(b"{") > MAX_DEPTH and _deeper(value, MAX_DEPTH):
        raise ValueError("nested too deeply")
    if b"\\" in text:
        # json accepts half of a surrogate pair (`\ud800`), which no UTF-8 can carry: UnicodeEncodeError, a ValueError.
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member occurs twice")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if isinf(number):
        raise ValueError("a number is too large")
    return number


def _deeper(value: Any, levels: int) -> bool:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return False
    return levels == 0 or any(_deeper(entry, levels - 1) for entry in value)


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant, parse_float=_finite)
