"""The formats of texts. One that the library does not know holds for any text."""

import re
from collections.abc import Callable
from typing import Final

from ztag_extauthz.rego.builtins.golang.parse_time import TimeError, parse_time
from ztag_extauthz.rego.builtins.golang.text import to_bytes
from ztag_extauthz.rego.builtins.golang.url import URLError, parse_url
from ztag_extauthz.rego.builtins.jsonschema.numbers import unsupported
from ztag_extauthz.rego.builtins.net import parse_address
from ztag_extauthz.rego.builtins.regex import matcher
from ztag_extauthz.rego.errors import BuiltinError

_LABEL: Final = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]{0,61}[a-zA-Z0-9])"
_HOSTNAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_UUID: Final = re.compile(r"[a-fA-F0-9]{8}(?:-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}")
_POINTER: Final = r"(?:/(?:[^~/]|~0|~1)*)*"
_JSON_POINTER: Final = re.compile(_POINTER)
_RELATIVE_POINTER: Final = re.compile(rf"(?:0|[1-9][0-9]*)(?:#|{_POINTER})", re.ASCII)
_BALANCED: Final = re.compile(r"(?:[^{]|\{[^}]*\})*")
_CLOCK: Final = ("15:04:05Z07:00", "15:04:05")
_DATE: Final = "2006-01-02"
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_EMAIL: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_ATOM}(?:\.{_ATOM})*")
_EMAIL_SIGNS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.@-]*")


def _is_time(text: str, *layouts: str) -> bool:
    for layout in layouts:
        try:
            parse_time(text, layout)
        except TimeError:
            continue
        return True
    return False


def _is_email(text: str) -> bool:
    """Tell it of plain addresses; names, comments and quotes are a language of their own."""
    if not _EMAIL_SIGNS.fullmatch(text) and "@" in text:
        raise unsupported("an e-mail address with unusual signs")
    return _EMAIL.fullmatch(text) is not None


def _url_parts(text: str) -> dict[str, str] | None:
    try:
        return None if "\\" in text else parse_url(text)
    except URLError:
        return None


def _is_uri(text: str) -> bool:
    parts = _url_parts(text)
    return parts is not None and bool(parts.get("scheme"))


def _is_template(text: str) -> bool:
    parts = _url_parts(text)
    return parts is not None and _BALANCED.fullmatch(parts.get("path", "")) is not None


def _is_regex(text: str) -> bool:
    try:
        matcher(text)
    except BuiltinError:
        return False
    return True


def _matches(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: pattern.fullmatch(text) is not None


FORMATS: Final[dict[str, Callable[[str], bool]]] = {
    "date": lambda text: _is_time(text, _DATE),
    "time": lambda text: _is_time(text, *_CLOCK),
    "date-time": lambda text: _is_time(text, *_CLOCK, _DATE, "2006-01-02T15:04:05Z07:00"),
    "hostname": lambda text: len(to_bytes(text)) < 256 and _HOSTNAME.fullmatch(text) is not None,
    "email": _is_email,
    "idn-email": _is_email,
    "ipv4": lambda text: "." in text and parse_address(text) is not None,
    "ipv6": lambda text: ":" in text and parse_address(text) is not None,
    "uri": _is_uri,
    "iri": _is_uri,
    "uri-reference": lambda text: _url_parts(text) is not None,
    "iri-reference": lambda text: _url_parts(text) is not None,
    "uri-template": _is_template,
    "uuid": _matches(_UUID),
    "regex": _is_regex,
    "json-pointer": _matches(_JSON_POINTER),
    "relative-json-pointer": _matches(_RELATIVE_POINTER),
}
