"""Go's `url.Parse`, as far as OPA shows its parts."""

import ipaddress
import re
from typing import Final
from urllib.parse import quote_from_bytes

from ztag_extauthz.rego.builtins.golang.text import to_bytes, to_text

_SCHEME: Final = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)?:")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9a-fA-F]{2})")
_ESCAPE: Final = re.compile(rb"%([0-9a-fA-F]{2})")
_PORT: Final = re.compile(r"(?::[0-9]*)?")
_USER: Final = re.compile(r"[A-Za-z0-9._:~!$&'()*+,;=%@-]*")
_HOST_BYTES: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!$&'()*+,;=:[]<>\"-_.~%")
_PATH_SAFE: Final = "-_.~$&+,/:;=@"


class URLError(ValueError):
    """The text is no URL to Go."""


def parse_url(text: str) -> dict[str, str]:
    """Give the parts of a URL that are there: scheme, hostname, port, path, raw_path, raw_query, fragment."""
    front, _, fragment = text.partition("#")
    if _CONTROL.search(front):
        raise URLError("net/url: invalid control character in URL")
    parts = _parse(front)
    if fragment:
        parts["fragment"] = _unescape(fragment)
    return {name: value for name, value in parts.items() if value}


def _parse(text: str) -> dict[str, str]:
    if text == "*":
        return {"path": "*", "raw_path": "*"}
    scheme, rest = _scheme(text)
    rest, _, query = rest.partition("?")
    parts = {"scheme": scheme.lower(), "raw_query": query}
    if not rest.startswith("/"):
        if scheme:
            return parts  # what Go calls opaque
        if ":" in rest.partition("/")[0]:
            raise URLError("first path segment in URL cannot contain colon")
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, slash, path = rest[2:].partition("/")
        rest = slash + path
        parts["hostname"], parts["port"] = _split_host(_authority(parts["scheme"], authority))
    parts["path"] = _unescape(rest)
    parts["raw_path"] = rest
    if rest == quote_from_bytes(to_bytes(parts["path"]), safe=_PATH_SAFE):
        parts["raw_path"] = parts["path"]  # the usual way to escape it is not worth telling
    return parts


def _scheme(text: str) -> tuple[str, str]:
    match = _SCHEME.match(text)
    if match is None:
        return "", text
    if match[1] is None:
        raise URLError("missing protocol scheme")
    return match[1], text[match.end() :]


def _unescape(text: str) -> str:
    data = to_bytes(text)
    if _BAD_ESCAPE.search(data):
        raise URLError("invalid URL escape")
    return to_text(_ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), data))


def _authority(scheme: str, authority: str) -> str:
    user, at, host = authority.rpartition("@")
    host = _host(scheme, host)
    if at:
        if not _USER.fullmatch(user):
            raise URLError("net/url: invalid userinfo")
        _unescape(user)
    return host


def _host(scheme: str, host: str) -> str:
    bracket = host.rfind("[")
    if bracket > 0:
        raise URLError("invalid IP-literal")
    if bracket == 0:
        return _literal(host)
    colon = host.find(":")
    if colon >= 0:
        if scheme not in ("http", "https"):
            colon = host.rfind(":")
        if not _PORT.fullmatch(host[colon:]):
            raise URLError("invalid port after host")
    return _unescape_host(host)


def _literal(host: str) -> str:
    inner, bracket, port = host[1:].rpartition("]")
    if not bracket:
        raise URLError("missing ']' in host")
    if not _PORT.fullmatch(port):
        raise URLError("invalid port after host")
    address, escaped_percent, zone = inner.partition("%25")
    name = _unescape_host(address)
    if escaped_percent:
        name += _unescape_zone(escaped_percent + zone)
    try:
        literal = ipaddress.ip_address(name)
    except ValueError:
        raise URLError("invalid host") from None
    if literal.version == 4 or name.endswith("%"):
        raise URLError("invalid IP-literal")
    return f"[{name}]{port}"


def _unescape_host(host: str) -> str:
    """In a host only bytes that are not ASCII, and the percent sign, may be escaped."""
    for match in _ESCAPE.finditer(to_bytes(host)):
        if int(match[1], 16) < 0x80 and match[1] != b"25":
            raise URLError("invalid URL escape")
    _require_host_bytes(host)
    return _unescape(host)


def _unescape_zone(zone: str) -> str:
    for match in _ESCAPE.finditer(to_bytes(zone)):
        byte = int(match[1], 16)
        if match[1] != b"25" and byte != ord(" ") and byte not in _HOST_BYTES - {ord("%")}:
            raise URLError("invalid URL escape")
    _require_host_bytes(zone)
    return _unescape(zone)


def _require_host_bytes(text: str) -> None:
    for byte in to_bytes(text):
        if byte < 0x80 and byte not in _HOST_BYTES:
            raise URLError("invalid character in host name")


def _split_host(host: str) -> tuple[str, str]:
    name, port = host, ""
    colon = host.rfind(":")
    if colon >= 0 and _PORT.fullmatch(host[colon:]):
        name, port = host[:colon], host[colon + 1 :]
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    return name, port
