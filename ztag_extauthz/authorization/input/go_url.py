"""Paths, queries and forms as Go's `net/url` reads them."""

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from ztag_extauthz.authorization.input.parse_error import ParseError

MAX_PARAMETERS: Final = 10_000

_BAD_ESCAPE: Final = re.compile("%(?![0-9A-Fa-f]{2})")
_UNDECODABLE: Final = re.compile("[\udc80-\udcff]")


def text(octets: bytes) -> str:
    """Decode with one U+FFFD for each byte that is no UTF-8, as Go does."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return _UNDECODABLE.sub("\ufffd", octets.decode(errors="surrogateescape"))


def unescape(escaped: str) -> str:
    """Resolve the escapes of a path; raises `ParseError` for one that is none."""
    if "%" not in escaped:
        return escaped
    if _BAD_ESCAPE.search(escaped):
        raise ParseError("invalid URL escape")
    return text(unquote_to_bytes(escaped))


def parse_query(query: str) -> dict[str, list[str]]:
    """Return a query's or a form's values by name; raises `ParseError` for bad escapes, ";", and too many of them."""
    if not query:
        return {}
    if query.count("&") >= MAX_PARAMETERS:
        raise ParseError("number of URL query parameters exceeded limit")
    values: dict[str, list[str]] = {}
    for parameter in query.split("&"):
        if ";" in parameter:
            raise ParseError("invalid semicolon separator in query")
        if parameter:
            name, _, value = parameter.replace("+", " ").partition("=")
            values.setdefault(unescape(name), []).append(unescape(value))
    return values
