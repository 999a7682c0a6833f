"""Header fields: what may be a name or a value (RFC 9110 5.1, 5.5), and how anything becomes a value."""

import re
from urllib.parse import quote

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
PSEUDO = frozenset({":authority", ":method", ":path", ":scheme"})
"""Names that a policy may set on a request, though they are no header fields."""

# Controls other than HTAB end or split a field in some parser; half a surrogate pair has no UTF-8.
_VALUE = re.compile("[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")
_ALL_VISIBLE = re.compile("[!-$&-~]*")
_VISIBLE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) != "%")


def is_name(name: str) -> bool:
    """Say whether a text can be the name of a header field."""
    return TOKEN.fullmatch(name) is not None


def is_value(value: str) -> bool:
    """Say whether a text can be sent as a header field's value, unchanged and unsplit."""
    return _VALUE.fullmatch(value) is not None


def visible(text: str) -> str:
    """Return a text with all but visible ASCII percent-encoded, so that it can be no more than one field's value."""
    return text if _ALL_VISIBLE.fullmatch(text) else quote(text, safe=_VISIBLE)
