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

from ztag_extauthz.authorization.input import go_json, go_url
from ztag_extauthz.authorization.input.parse_error import ParseError

MAX_PARTS: Final = 1_000
MAX_HEADER_BYTES: Final = 64 * 1024

_WORD: Final = r"[!#$%&'*+\-.^_`{|}~0-9A-Za-z]+"
_MEDIA_TYPE: Final = re.compile(rf"\s*({_WORD}(?:/{_WORD})?)\s*(?=;|$)")
_PARAMETER: Final = re.compile(rf'\s*;\s*({_WORD})\s*=\s*({_WORD}|"(?:[^"\\\r\n]|\\[^\r\n])*")')
_END: Final = re.compile(r"[\s;]*\Z")
_ESCAPED: Final = re.compile(r'\\([()<>@,;:\\"/\[\]?=])')
_FIELD: Final = rb"[^\x00-\x20:\x7f-\xff]+:[^\x00\r\n]*\r?\n(?:[ \t][^\x00\r\n]*\r?\n)*"
_HEADERS: Final = re.compile(rb"((?:" + _FIELD + rb")*)\r?\n")


def parse(body: bytes, content_type: str) -> dict[str, list[Any]] | None:
    """Return the values by name; None without a boundary. Raises `ParseError` for what Go refuses."""
    _, parameters = media_type(content_type)
    if "boundary" not in parameters:
        return None
    boundary = parameters["boundary"]
    if not boundary:
        raise ParseError("the multipart boundary is empty")
    values: dict[str, list[Any]] = {}
    for headers, content in _parts(body, boundary.encode()):
        _add(values, headers, content)
    return values


def media_type(field: str) -> tuple[str, dict[str, str]]:
    """Return a media type or disposition in lower case and its parameters (RFC 2045 5.1); raises `ParseError`."""
    found = _MEDIA_TYPE.match(field)
    if not found:
        raise ParseError("the content type is malformed")
    parameters: dict[str, str] = {}
    position = found.end()
    while not _END.match(field, position):
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


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[Message, bytes]]:
    """Yield the headers and the content of each part; raises `ParseError` where the body does not end as it should."""
    delimiter = b"--" + re.escape(boundary)
    first = re.search(rb"(?m)^" + delimiter + rb"[ \t]*(\r?\n)", body)
    final = re.search(rb"(?m)^" + delimiter + rb"--[ \t]*(?:\r\n|\Z)", body)
    if final and (not first or final.start() < first.start()):
        return
    if not first:
        raise ParseError("the multipart body has no boundary")
    line_end, position = first[1], first.end()
    after = re.compile(rb"(--)[ \t]*(?:" + line_end + rb"|\Z)|[ \t]*" + line_end)
    following = re.compile(line_end + delimiter + rb"(?=[ \t\r\n]|--|\Z)")
    immediate = re.compile(delimiter + rb"(?=[ \t\r\n]|--|\Z)")  # a part without content
    for _ in range(MAX_PARTS):
        headers, position = _headers(body, position)
        found = immediate.match(body, position) or following.search(body, position)
        ending = after.match(body, found.end()) if found else None
        if not found or not ending:
            raise ParseError("the multipart body has no end")
        yield headers, body[position : found.start()]
        if ending[1]:
            return
        position = ending.end()
    raise ParseError("the multipart body has too many parts")


def _headers(body: bytes, position: int) -> tuple[Message, int]:
    """Return a part's headers and where its content begins."""
    found = _HEADERS.match(body, position)
    if not found or len(found[1]) > MAX_HEADER_BYTES:
        raise ParseError("a part of the multipart body has malformed headers")
    return HeaderParser().parsestr(go_url.text(found[1])), found.end()


def _add(values: dict[str, list[Any]], headers: Message, content: bytes) -> None:
    try:
        disposition, parameters = media_type(headers.get("content-disposition", ""))
    except ParseError:
        return
    name = parameters.get("name", "")
    if disposition != "form-data" or not name:
        return
    if headers.get("content-transfer-encoding", "").lower() == "quoted-printable":
        content = decodestring(content)
    value = go_url.text(content)
    is_json = "application/json" in headers.get("content-type", "")
    values.setdefault(name, []).append(go_json.loads(value) if is_json else value)
