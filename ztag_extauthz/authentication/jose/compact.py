"""A token in the compact serialization (RFC 7515 7.1), taken apart and not yet believed."""

from typing import Any

from msgspec import Struct

from ztag_extauthz.authentication.jose.text import decode_base64url, decode_object

MAX_KEY_ID = 256
"""Characters of a `kid`."""


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


def parse(text: str) -> Token:
    """Take a token, which has to be ASCII, apart. Raises `TokenError`.

    Header members that name a key or where to get one (`jwk`, `jku`, `x5u`, `x5c` …) are not even looked at: keys come
    from the settings alone.
    """
    token = text.encode("ascii")
    signed, dot, signature = token.rpartition(b".")
    first, other_dot, second = signed.partition(b".")
    if not dot or not other_dot or b"." in second:
        raise TokenError("the token does not have three parts")
    try:
        header = decode_object(decode_base64url(first))
        claims = decode_object(decode_base64url(second))
        signature = decode_base64url(signature)
    except ValueError as error:
        raise TokenError("the token is not canonical base64url of strict JSON") from error
    return _read(header, claims, signed, signature)


def _read(header: dict[str, Any], claims: dict[str, Any], signed: bytes, signature: bytes) -> Token:
    algorithm, key_id, kind = header.get("alg"), header.get("kid"), header.get("typ", "")
    if type(algorithm) is not str or type(kind) is not str:
        raise TokenError("alg or typ of the token is missing or not text")
    if key_id is not None and (type(key_id) is not str or len(key_id) > MAX_KEY_ID):
        raise TokenError("kid of the token is not a short text")
    if "crit" in header or "b64" in header:
        # No extension is understood, so whatever is critical must be refused (RFC 7515 4.1.11, RFC 7797 6).
        raise TokenError("the token needs an extension that is not supported")
    return Token(algorithm, key_id, kind.lower().removeprefix("application/"), claims, signed, signature)
