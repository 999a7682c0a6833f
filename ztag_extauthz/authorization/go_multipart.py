"""`multipart/form-data` as Go's `mime/multipart` reads it.

A part is what stands between two delimiter lines; line ends are those of the first delimiter line. Quoted-printable
parts are decoded, base64 parts are not; parts with a file name are ordinary values, parts without a name are dropped.
"""

import re
from collections.abc import Iterator
from email.message import Message
from email.parser import HeaderParser
from quopri import decodestring
from typing import Any, Final

from ztag_extauthz.authorization import go_json, go_url
from ztag_extauthz.authorization.parse_error import ParseError

MAX_PARTS: Final = 10_000
MAX_HEADER_BYTES: Final = 64 * 1024

_WORD: Final = r"[!#$%&'*+\-.^_`{|}~0-9A-Za-z]+"
_MEDIA_TYPE: Final = re.compile(rf"\s*({_WORD}(?:/{_WORD})?)\s*(?=;|$)")
_PARAMETER: Final = re.compile(rf'\s*;\s*({_WORD})\s*=\s*({_WORD}|"(?:[^"\\\r\n]|\\[^\r\n])*")')
_ESCAPED: Final = re.compile(r'\\([()<>@,;:\\"/\[\]?=])')
_FIELD: Final = re.compile(rb"[^\x00-\x20:\x7f-\xff]+:[^\x00\r\n]*(?:\r?\n[ \t]+[^\x00\r\n]*)*")


def parse(body: bytes, content_type: str) -> dict[str, list[Any]] | None:
    """Return the values by name; None without a boundary. Raises `ParseError` for what Go refuses."""
    _, parameters = media_type(content_type)
    if "boundary" not in parameters:
        return None
    boundary = parameters["boundary"]
    if not boundary:
        raise ParseError("the multipart boundary is empty")
    values: dict[str, list[Any]] = {}
    for part in _parts(body, boundary.encode()):
        _add(values, part)
    return values


def media_type(field: str) -> tuple[str, dict[str, str]]:
    """Return a media type or disposition in lower case and its parameters (RFC 2045 5.1); raises `ParseError`."""
    found = _MEDIA_TYPE.match(field)
    if not found:
        raise ParseError("the content type is malformed")
    parameters: dict[str, str] = {}
    position = found.end()
    while field[position:].strip(" \t\r\n;"):
        parameter = _PARAMETER.match(field, position)
        if not parameter:
            raise ParseError("the content type is malformed")
        name, value = parameter[1].lower(), parameter[2]
        if value.startswith('"'):
            value = _ESCAPED.sub(r"\1", value[1:-1])
        if parameters.setdefault(name, value) != value:
            raise ParseError("the content type has a parameter twice")
        position = parameter.end()
    return found[1].lower(), parameters


def _parts(body: bytes, boundary: bytes) -> Iterator[bytes]:
    """Yield what stands between the delimiter lines."""
    delimiter = b"--" + boundary
    first = re.compile(rb"(?m)^" + re.escape(delimiter) + rb"[ \t]*(\r?\n)").search(body)
    closing = re.compile(rb"(?m)^" + re.escape(delimiter) + rb"--[ \t]*(?:\r?\n|\Z)").search(body)
    if closing and (not first or closing.start() < first.start()):
        return
    if not first:
        raise ParseError("the multipart body has no boundary")
    line_end, position = first[1], first.end()
    following = re.compile(
        rb"(?:\A|" + line_end + rb")" + re.escape(delimiter) + rb"(?:(--)[ \t]*(?:" + line_end + rb"|\Z)|[ \t]*"
        + line_end + rb")"
    )  # fmt: skip
    for _ in range(MAX_PARTS):
        # A part without headers or content begins with the line end that belongs to the next delimiter.
        found = following.search(body, max(position - len(line_end), 0))
        if not found:
            raise ParseError("the multipart body has no end")
        yield body[position : max(found.start(), position)]
        if found[1]:
            return
        position = found.end()
    raise ParseError("the multipart body has too many parts")


def _add(values: dict[str, list[Any]], part: bytes) -> None:
    header, content = _split(part)
    try:
        disposition, parameters = media_type(header.get("content-disposition", ""))
    except ParseError:
        return
    name = parameters.get("name", "")
    if disposition != "form-data" or not name:
        return
    if header.get("content-transfer-encoding", "").lower() == "quoted-printable":
        content = decodestring(content)
    value = go_url.text(content)
    is_json = "application/json" in header.get("content-type", "")
    values.setdefault(name, []).append(go_json.loads(value) if is_json else value)


def _split(part: bytes) -> tuple[Message, bytes]:
    """Divide a part at the first empty line; raises `ParseError` for headers that are none."""
    if part.startswith((b"\r\n", b"\n")):
        return Message(), part.split(b"\n", 1)[1]
    found = re.compile(rb"\r?\n\r?\n").search(part)
    if not found or found.start() > MAX_HEADER_BYTES:
        raise ParseError("a part of the multipart body has no end of its headers")
    header = part[: found.start()]
    if not re.fullmatch(rb"(?:" + _FIELD.pattern + rb"(?:\r?\n|\Z))+", header):
        raise ParseError("a part of the multipart body has a malformed header")
    return HeaderParser().parsestr(go_url.text(header) + "\n\n"), part[found.end() :]
