"""A token in the compact serialization (RFC 7515 7.1), taken apart and not yet believed."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from ztag_extauthz.authentication.jose.text import decode_base64url, decode_object

MAX_KEY_ID = 256
"""Characters of a `kid`."""
_LONGEST_RECURRING = 1024
"""Characters of a header that may be kept."""


class TokenError(Exception):
    """The token cannot be read; the message is fit for its sender."""


class Token(Struct, frozen=True):
    """A token whose signature nobody has verified yet."""

    algorithm: str
    key_id: str | None
    type: str
    """`typ` in lower case without `application/`; "" if there is none."""
    claims: dict[str, Any]
    signed: bytes
    signature: bytes


class Parts(Struct, frozen=True):
    """The three parts as they stand."""

    header: Mapping[str, Any]
    claims: dict[str, Any]
    signed: bytes
    signature: bytes


def parse(text: str) -> Token:
    """Take a token, which has to be ASCII, apart. Raises `TokenError`.

    Header members that name a key or where to get one (`jwk`, `jku`, `x5u`, `x5c` …) are not even looked at: keys come
    from the settings alone.
    """
    return read(take_apart(text))


def take_apart(text: str) -> Parts:
    """Return the parts of what has to be ASCII. Raises `TokenError`."""
    token = text.encode("ascii")
    signed, dot, signature = token.rpartition(b".")
    first, other_dot, second = signed.partition(b".")
    if not dot or not other_dot or b"." in second:
        raise TokenError("the token does not have three parts")
    try:
        header = _recurring(first) if len(first) <= _LONGEST_RECURRING else _header(first)
        claims = decode_object(decode_base64url(second))
        return Parts(header, claims, signed, decode_base64url(signature))
    except ValueError as error:
        raise TokenError("the token is not canonical base64url of strict JSON") from error


def _header(first: bytes) -> Mapping[str, Any]:
    return MappingProxyType(decode_object(decode_base64url(first)))


_recurring = lru_cache(maxsize=256)(_header)
"""The headers of an issuer's tokens are the same text, as long as its key is."""


def read(parts: Parts) -> Token:
    """Return what the header says. Raises `TokenError` where it says what is not understood."""
    header = parts.header
    algorithm, key_id, kind = header.get("alg"), header.get("kid"), header.get("typ", "")
    if type(algorithm) is not str or type(kind) is not str:
        raise TokenError("alg or typ of the token is missing or not text")
    if key_id is not None and (type(key_id) is not str or len(key_id) > MAX_KEY_ID):
        raise TokenError("kid of the token is not a short text")
    if "crit" in header or "b64" in header:
        # No extension is understood, so whatever is critical must be refused (RFC 7515 4.1.11, RFC 7797 6).
        raise TokenError("the token needs an extension that is not supported")
    kind = kind.lower().removeprefix("application/")
    if not kind and "typ" in header:
        raise TokenError("typ of the token is empty")  # which is not left out
    return Token(algorithm, key_id, kind, parts.claims, parts.signed, parts.signature)
