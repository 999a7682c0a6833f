"""What a record may hold of a text that a caller writes: no token, no query, no password, and bounded."""

import re
from collections.abc import Set as AbstractSet
from typing import Final
from urllib.parse import unquote

MASK = "[masked]"
MAX_TEXT = 2048
"""Characters of a text that a caller writes."""

# The beginning of every JSON object in base64, and what follows in the compact serialization.
_TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*)*")
_SECRET = re.compile(
    "authoriz|cookie|token|secret|pass|key|credential|session|assertion|signature|jwt|dpop|x-auth|bearer|otp|[cx]srf"
    "|(?:^|[^a-z])pin(?:$|[^a-z])"
)
_SECRET_CLAIM = re.compile("token|secret|passw", re.IGNORECASE)
_CREDENTIALS = re.compile(r"(?:^|,)\s*(?:bearer|basic|digest|dpop|negotiate|token|apikey)\s", re.IGNORECASE)
_ADDRESS = re.compile("ur[il]|path|referer|location")
_PARAMETER = re.compile(r";\s*([^\s;,=]+)\s*=")
# Where a path ends, and a user's name and password in an address; `%253F` is what becomes `?` when decoded twice.
_PATH_END = re.compile(r"[?#;]|%(?:25)*(?:3[fb]|23)", re.IGNORECASE)
_USER = re.compile(r"//[^/]*@")
_DECODINGS = 3


NO_NAMES: Final[AbstractSet[str]] = frozenset()


def is_secret(header: str, credentials: AbstractSet[str] = NO_NAMES) -> bool:
    """Return whether a header (in lower case) is one of ztag's own credentials, or named like one with a secret."""
    return header in credentials or _SECRET.search(header) is not None


def is_secret_claim(name: str) -> bool:
    """Return whether a claim or a field of a document is named like a secret; `sid`, `roles`, `auth_time` are none."""
    return _SECRET_CLAIM.search(name) is not None


def header(name: str, value: str, credentials: AbstractSet[str] = NO_NAMES) -> str:
    """Return what may be told of a header or a context extension, its name in lower case."""
    if is_secret(name, credentials) or _CREDENTIALS.search(value):
        return MASK
    if _is_address(name, value):
        address, mark = split(value)
    else:
        # Where `;` is no path's: media types, qualities.
        address, mark, _ = value.partition("?")
    return clean(address) + (f"{mark}{MASK}" if mark else "")


def _is_address(name: str, value: str) -> bool:
    """Tell whether a value is a path or a URL, or has a parameter that is named like a secret (`;jsessionid=`)."""
    if value.startswith("/") or "://" in value or _ADDRESS.search(name):
        return True
    return ";" in value and any(is_secret(each.lower()) or "sess" in each.lower() for each in _PARAMETER.findall(value))


def split(text: str) -> tuple[str, str]:
    """Return the path of a URL, with its host if there is one, and the mark that ends it."""
    end = _PATH_END.search(text)
    path = text[: end.start()] if end else text
    return (_USER.sub("//", path) if "@" in path else path), (end[0] if end else "")


def clean(text: str) -> str:
    """Return a text with what looks like a token masked, and `MAX_TEXT` characters at most."""
    if "%" in text:
        text = _unless_hidden(text)
    if "eyJ" in text:
        text = _TOKEN.sub(MASK, text)
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}..."


def _unless_hidden(text: str) -> str:
    """Return a text as it is; decoded where a token shows up in it then."""
    decoded = text
    for _ in range(_DECODINGS):
        decoded = unquote(decoded)
        if _TOKEN.search(decoded):
            return decoded
    return text
