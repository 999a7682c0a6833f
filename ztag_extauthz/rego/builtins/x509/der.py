"""DER: the encoding of certificates, read strictly."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple

from ztag_extauthz.rego.errors import BuiltinError, EvaluationError

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
BITS: Final = 0x03
OCTETS: Final = 0x04
NULL: Final = 0x05
OID: Final = 0x06
UTC_TIME: Final = 0x17
TIME: Final = 0x18
SEQUENCE: Final = 0x30
SET: Final = 0x31

_UTC: Final = re.compile(rb"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z")
_GENERAL: Final = re.compile(rb"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z")


def unsupported(what: str) -> EvaluationError:
    """Make the error for what Go may read otherwise."""
    return EvaluationError("rego_unsupported_error", f"a certificate or key with {what} is not supported")


class Element(NamedTuple):
    tag: int
    content: bytes
    raw: bytes


def read(data: bytes) -> tuple[Element, bytes]:
    """Split one element off; raises `BuiltinError` if there is none."""
    if len(data) < 2 or data[0] & 0x1F == 0x1F:
        raise BuiltinError("x509: malformed certificate")
    size, start = data[1], 2
    if size >= 0x80:
        start += size & 0x7F
        size = int.from_bytes(data[2:start], "big")
        if not 2 < start <= 6 or size < 0x80 or size.bit_length() <= 8 * (start - 3):
            raise BuiltinError("x509: malformed certificate")
    end = start + size
    if end > len(data):
        raise BuiltinError("x509: malformed certificate")
    return Element(data[0], data[start:end], data[:end]), data[end:]


class Fields:
    """The elements of a SEQUENCE, taken one after the other."""

    def __init__(self, data: bytes) -> None:
        self._rest = list(elements(data))[::-1]

    def take(self, *tags: int) -> Element:
        if not self._rest or self._rest[-1].tag not in tags:
            raise unsupported("a part of an unexpected kind")
        return self._rest.pop()

    def maybe(self, tag: int) -> Element | None:
        return self._rest.pop() if self._rest and self._rest[-1].tag == tag else None

    def end(self) -> None:
        if self._rest:
            raise unsupported("more parts than there should be")


def elements(data: bytes) -> Iterator[Element]:
    """Give all elements, one behind the other; inside of something that begins well, disorder is not supported."""
    while data:
        try:
            element, data = read(data)
        except BuiltinError:
            raise unsupported("parts that cannot be read") from None
        yield element


def integer(element: Element) -> int:
    content = element.content
    padded = len(content) > 1 and (content[0], content[1] >> 7) in ((0, 0), (0xFF, 1))
    if not content or padded or content[0] & 0x80:
        raise unsupported("a negative or badly written integer")
    return int.from_bytes(content, "big")


def bits(element: Element) -> bytes:
    """Give a string of whole bytes."""
    if element.content[:1] != b"\0":
        raise unsupported("a string of bits that is not whole bytes")
    return element.content[1:]


def oid(element: Element) -> tuple[int, ...]:
    if not element.content or element.content[-1] & 0x80:
        raise unsupported("a badly written object identifier")
    arcs, value, fresh = [], 0, True
    for byte in element.content:
        if fresh and byte == 0x80:
            raise unsupported("a badly written object identifier")
        value, fresh = value << 7 | byte & 0x7F, byte < 0x80
        if fresh:
            arcs.append(value)
            value = 0
        elif value >= 1 << 24:
            raise unsupported("an object identifier with large numbers")
    first = min(arcs[0] // 40, 2)
    return first, arcs[0] - 40 * first, *arcs[1:]


def time(element: Element) -> str:
    """Give a time as RFC 3339 writes it."""
    pattern = _UTC if element.tag == UTC_TIME else _GENERAL
    match = pattern.fullmatch(element.content)
    if match is None:
        raise unsupported("a badly written time")
    year, month, day, hour, minute, second = map(int, match.groups())
    if element.tag == UTC_TIME:
        year += 1900 if year >= 50 else 2000
    try:
        datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        raise unsupported("a time that does not exist") from None
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"


def text(element: Element) -> str:
    """Give an IA5String."""
    if not element.content.isascii():
        raise unsupported("a text that is not ASCII")
    return element.content.decode("ascii")
