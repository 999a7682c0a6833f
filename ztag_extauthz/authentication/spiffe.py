"""SPIFFE ids, validated to the letter (SPIFFE-ID 2).

    spiffe://trust-domain/path/of/the/workload

Whatever is not exactly that is no id: there is no second spelling, so that ids can be compared as text.
"""

import re

from msgspec import Struct

SCHEME = "spiffe://"
MAX_ID_BYTES = 2048
MAX_TRUST_DOMAIN_BYTES = 255

_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]+")
_SEGMENT = re.compile(r"[A-Za-z0-9._-]+")


class SpiffeIdError(ValueError):
    """It is no SPIFFE id; `code` names the class of the mistake, the message repeats nothing of the text."""

    def __init__(self, code: str) -> None:
        super().__init__(_MESSAGES[code])
        self.code = code


class SpiffeId(Struct, frozen=True):
    """An id of a workload, or of a trust domain where the path is empty."""

    trust_domain: str
    path: str = ""
    """With its leading "/"."""

    def __str__(self) -> str:
        return f"{SCHEME}{self.trust_domain}{self.path}"


def parse(text: str) -> SpiffeId:
    """Return the id that a text is. Raises `SpiffeIdError`."""
    if not text:
        raise SpiffeIdError("empty")
    if not text.startswith(SCHEME):
        raise SpiffeIdError("wrong_scheme")
    if len(text) > MAX_ID_BYTES:
        raise SpiffeIdError("too_long")
    name, slash, rest = text[len(SCHEME) :].partition("/")
    return SpiffeId(_checked_trust_domain(name), checked_path(slash + rest))


def trust_domain(text: str) -> str:
    """Return the trust domain that a text is, or that of the id that it is. Raises `SpiffeIdError`."""
    if not text:
        raise SpiffeIdError("missing_trust_domain")
    return parse(text).trust_domain if ":/" in text else _checked_trust_domain(text)


def join(*segments: str) -> str:
    """Return the path of these segments. Raises `SpiffeIdError`."""
    return "".join(f"/{checked_segment(segment)}" for segment in segments)


def checked_path(path: str) -> str:
    """Return a path that is one, or "". Raises `SpiffeIdError`."""
    if not path:
        return ""
    if path[0] != "/":
        raise SpiffeIdError("no_leading_slash")
    *inner, last = path[1:].split("/")
    for segment in inner:
        checked_segment(segment)
    if not last:
        raise SpiffeIdError("trailing_slash")
    checked_segment(last)
    return path


def checked_segment(segment: str) -> str:
    """Return a segment of a path that is one. Raises `SpiffeIdError`."""
    if not segment:
        raise SpiffeIdError("empty_segment")
    if segment in {".", ".."}:
        raise SpiffeIdError("dot_segment")
    if not _SEGMENT.fullmatch(segment):
        raise SpiffeIdError("bad_path_segment_char")
    return segment


def _checked_trust_domain(name: str) -> str:
    if not name:
        raise SpiffeIdError("missing_trust_domain")
    if not _TRUST_DOMAIN.fullmatch(name):
        raise SpiffeIdError("bad_trust_domain_char")
    if len(name) > MAX_TRUST_DOMAIN_BYTES:
        raise SpiffeIdError("too_long")
    return name


_MESSAGES = {
    "empty": "the SPIFFE id is empty",
    "wrong_scheme": "the SPIFFE id does not begin with spiffe://",
    "too_long": "the SPIFFE id or its trust domain is too long",
    "missing_trust_domain": "the SPIFFE id has no trust domain",
    "bad_trust_domain_char": "a trust domain has only lower-case letters, digits, dots, dashes and underscores",
    "no_leading_slash": "a path of a SPIFFE id begins with a slash",
    "trailing_slash": "a path of a SPIFFE id does not end with a slash",
    "empty_segment": "a path of a SPIFFE id has no empty segments",
    "dot_segment": "a path of a SPIFFE id has no dot segments",
    "bad_path_segment_char": "a path of a SPIFFE id has only letters, digits, dots, dashes and underscores",
}
