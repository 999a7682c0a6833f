"""Is the request readable, and readable in one way only?

What two programs read differently is refused before anybody decides on it: our policy would decide on one reading, and
the upstream serve the other.
"""

import re
from collections.abc import Mapping
from typing import Final

from ztag_extauthz.admission.interface import Gate
from ztag_extauthz.again import ALWAYS, Again
from ztag_extauthz.fields import TOKEN
from ztag_extauthz.model import Deny, Reason, Request
from ztag_extauthz.section import Section


class WellFormedSettings(Section):
    """What is refused before anybody is asked for a credential."""

    insecure_ambiguous_paths: bool = False
    """Let through paths that two programs may read differently (encoded slashes, dot segments, backslashes, empty
    segments, `;` parameters, control characters). Only where Envoy normalises them itself."""


_SEGMENT = r"[A-Za-z0-9_~!$&'()*+,=:@-][A-Za-z0-9._~!$&'()*+,=:@-]*"
_CLEAN: Final = re.compile(rf"/(?:{_SEGMENT}(?:/{_SEGMENT})*/?)?(?:\?[!-\"$-\[\]-~]*)?")
"""Nearly every path: no escapes, no segment that begins with a dot, no empty one."""

_SPELLINGS: Final = tuple(
    (name, re.compile(pattern, re.IGNORECASE))
    for name, pattern in (
        ("a character outside ASCII", r"[^\x00-\x7f]"),
        ("an escape without two hexadecimal digits", r"%(?![0-9a-f]{2})"),
        ("an encoded control character", r"%(?:[01][0-9a-f]|7f)"),
        ("an encoded slash", r"%2f"),
        ("an encoded backslash", r"%5c"),
        ("a backslash", r"\\"),
        ("a `;` parameter", r";|%3b"),
        ("a doubly encoded character", r"%25[0-9a-f]{2}"),
        ("an encoded dot segment", r"(?:^|/)(?=[^/]*%)(?:\.|%2e){1,2}(?:/|$)"),
        ("a dot segment", r"(?:^|/)\.{1,2}(?:/|$)"),
        ("an encoded letter, digit or mark", r"%(?:2[de]|3[0-9]|[46][1-9a-f]|[57][0-9a]|5f|7e)"),
        ("an encoded `?` or `#`", r"%(?:3f|23)"),
        ("an empty segment", r"//"),
    )
)
_CONTROL: Final = re.compile(r"[\x00-\x20\x7f]")
_ESCAPED_OCTETS: Final = re.compile(r"(?:%[89a-fA-F][0-9a-fA-F])+")

_HOST: Final = re.compile(r"[A-Za-z0-9_~%\[-][A-Za-z0-9._~:%\[\]-]*(?<!:)")
"""A name, and a port that is not empty. RFC 9110 4.2.1: an http URI has a host; Envoy lets an empty one through."""
_NO_HOST: Final = "there is no host"
_TWO_TOKENS: Final = re.compile(r"(?:bearer|dpop|basic|negotiate)\s[^,]*,", re.IGNORECASE)
# Possessive groups would say it more shortly, but Python before 3.11.5 matches them wrongly (gh-106052).
_ONE_VALUE: Final = re.compile(r'[^",]*(?:"[^"\\]*(?:\\.[^"\\]*)*"[^",]*)*', re.DOTALL)
_SINGLE: Final = frozenset(
    {":authority", ":method", ":path", ":scheme", "authorization", "content-length", "content-type", "dpop", "host"}
    | {"proxy-authorization", "x-envoy-auth-partial-body"}
)
"""Fields that occur once: of two, each program may believe another one."""


class WellFormed(Gate):
    """Refuses what is malformed or ambiguous; costs about a microsecond where nothing is wrong."""

    kind = "well_formed"

    def __init__(self, settings: WellFormedSettings) -> None:
        self._ambiguous_paths = settings.insecure_ambiguous_paths

    async def admit(self, request: Request, deadline: float) -> Deny | None:  # noqa: ARG002 - nothing here waits
        if request.defect:
            return Deny(Reason.MALFORMED_REQUEST, request.defect)
        if not request.is_http:
            return None
        malformed = _malformed(request)
        if malformed:
            return Deny(Reason.MALFORMED_REQUEST, malformed)
        if not request.path:
            return _without_path(request)
        if self._ambiguous_paths or _CLEAN.fullmatch(request.path):
            return None
        ambiguity = _ambiguity(request)
        return Deny(Reason.AMBIGUOUS_PATH, f"the path has {ambiguity}") if ambiguity else None

    def again(self, request: Request) -> Again:  # noqa: ARG002 - whichever it is
        return ALWAYS


def _malformed(request: Request) -> str:
    """Say what is wrong beside the path ("" if nothing is)."""
    headers = request.headers
    if not TOKEN.fullmatch(request.method):
        return "the method is no token"
    if not _HOST.fullmatch(request.host) or "," in headers.get("host", ""):
        return "the host has characters that no host has, or no name, or an empty port" if request.host else _NO_HOST
    if request.repeated:
        for name in sorted(request.repeated):
            if name in _SINGLE or name.startswith("x-ztag-"):
                return f"the header field {name} is repeated"
    joined = _joined(headers)
    return f"the header field {joined} is repeated" if joined else ""


def _joined(headers: Mapping[str, str]) -> str:
    """Name the field that a proxy has joined of several ("" if none is)."""
    content_type = headers.get("content-type", "")
    if "," in headers.get("content-length", ""):
        return "content-length"
    if "," in content_type and not _ONE_VALUE.fullmatch(content_type):
        return "content-type"
    return "authorization" if _TWO_TOKENS.match(headers.get("authorization", "")) else ""


def _without_path(request: Request) -> Deny | None:
    """CONNECT names an authority; anything else has to name a path."""
    return None if request.method == "CONNECT" else Deny(Reason.MALFORMED_REQUEST, "there is no path")


def _ambiguity(request: Request) -> str:
    """Name the spelling that makes a path ambiguous ("" if it only looked unusual)."""
    path, _, query = request.path.partition("?")
    if _CONTROL.search(request.path):
        return "a control character or a space"
    if "#" in request.path:
        return "a fragment"
    if not path.startswith("/"):
        return _other_form(request, path, query)
    for name, pattern in _SPELLINGS:
        if pattern.search(path):
            return name
    return "" if all(map(_is_utf8, _ESCAPED_OCTETS.findall(path))) else "escapes that are no UTF-8"


def _is_utf8(escapes: str) -> bool:
    """Overlong forms of "." and "/" are no UTF-8, and yet some decoders read them."""
    try:
        bytes.fromhex(escapes.replace("%", "")).decode()
    except UnicodeDecodeError:
        return False
    return True


def _other_form(request: Request, path: str, query: str) -> str:
    """RFC 9112 3.2: CONNECT has an authority, OPTIONS may have "*"; the absolute form hides a second host."""
    if request.method == "CONNECT" and not query and _HOST.fullmatch(path):
        return ""
    if request.method == "OPTIONS" and path == "*" and not query:
        return ""
    return "no slash at its beginning"
