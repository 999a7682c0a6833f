r"""`x-forwarded-client-cert`, taken apart (Envoy: HTTP header manipulation).

    By=spiffe://mesh/gateway;Hash=…;Subject="CN=a, O=b";URI=spiffe://mesh/a,By=…      elements in the order of the hops

Every proxy adds its element at the end, so the last one is that of the nearest. A value in quotes may hold `,`, `;` and
`=`; a quote within it is written `\"`.
"""

import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

HEADER = "x-forwarded-client-cert"
_ESCAPED = re.compile(r"\\([\"\\])")
_MARKS = {separator: re.compile(rf'["\\{separator}]') for separator in ",;"}
_BAD_ESCAPE = "a percent sign without two hexadecimal digits"


class XfccError(ValueError):
    """The header cannot be read in one way only."""


def elements(header: str) -> list[str]:
    """Return the elements as text, the nearest hop's last. Raises `XfccError`."""
    return list(_split(header, ","))


def pairs(element: str) -> list[str]:
    """Return the `Key=value` parts of an element as text. Raises `XfccError`."""
    return list(_split(element, ";"))


def key_value(pair: str) -> tuple[str, str]:
    """Return a part's key and its value as it stands. Raises `XfccError`."""
    key, equals, value = pair.partition("=")
    if not equals:
        raise XfccError("a part has no =")
    return key, value


def fields(element: str) -> dict[str, tuple[str, ...]]:
    """Return the values of each field (lower case) of an element, without quotes. Raises `XfccError`.

    `URI` and `DNS` may occur more than once.
    """
    found: dict[str, list[str]] = {}
    for pair in pairs(element):
        key, value = key_value(pair)
        found.setdefault(key.strip().lower(), []).append(unquoted(value))
    return {name: tuple(values) for name, values in found.items()}


def unquoted(value: str) -> str:
    """Return a value without the quotes around it and the backslashes before those within."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        return _ESCAPED.sub(r"\1", value[1:-1])
    return value


def decoded(certificate: str) -> bytes:
    """Return the bytes of a URL-encoded PEM. Raises `XfccError`.

    base64 has a `+`, so a `+` that stands for a space is only recognised where PEM wants one (`BEGIN+CERTIFICATE`).
    """
    for rest in certificate.split("%")[1:]:
        if len(rest) < 2 or not all(letter in "0123456789abcdefABCDEF" for letter in rest[:2]):
            raise XfccError(_BAD_ESCAPE)
    return unquote_to_bytes(certificate).replace(b"+CERTIFICATE", b" CERTIFICATE")


def _split(text: str, separator: str) -> Iterator[str]:
    """Yield the non-empty parts between separators that do not stand in quotes."""
    begin, unescaped, quoted = 0, 0, False
    for mark in _MARKS[separator].finditer(text):
        place = mark.start()
        if place < unescaped:
            continue
        if text[place] == '"':
            quoted = not quoted
        elif text[place] == "\\":
            unescaped = place + 2 if quoted else 0
        elif not quoted:
            if part := text[begin:place].strip():
                yield part
            begin = place + 1
    if quoted:
        raise XfccError("a quote is not closed")
    if part := text[begin:].strip():
        yield part
