"""Tokens that are bound to a key: whoever shows one has to have the key, too (RFC 7800).

    jkt         a key that makes a proof for each request (RFC 9449, DPoP)
    x5t#S256    the client's certificate of the TLS connection (RFC 8705)

A binding that is not understood is none that could be proven, so its token is refused.
"""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from ztag_extauthz.authentication.peer import Forwarding
from ztag_extauthz.model import Request

KEY, CERTIFICATE = "jkt", "x5t#S256"
THUMBPRINT_LENGTH = 43
"""Characters of a SHA-256 in base64url."""


class Binding(Struct, frozen=True):
    """What a token is bound to; "" for what it is not. Thumbprints in base64url."""

    key: str
    certificate: str

    def why_not_client(self, request: Request, forwarding: Forwarding) -> str:
        """Return why the client is not the one whose certificate the token is bound to, or ""."""
        if not self.certificate:
            return ""
        try:
            client = forwarding.client_of(request)
        except ValueError as error:
            return str(error)
        if client is None or not client.fingerprint:
            return "the token is bound to a certificate, and the client shows none"
        shown = base64url(client.fingerprint)
        return "" if shown == self.certificate else "the token is bound to another certificate than the client's"


def binding_of(claims: Mapping[str, Any]) -> Binding | None:
    """Return what a token's `cnf` binds it to, None for nothing. Raises `ValueError` where that is not understood."""
    if "cnf" not in claims:
        return None
    confirmation = claims["cnf"]
    if type(confirmation) is not dict or not confirmation or not confirmation.keys() <= {KEY, CERTIFICATE}:
        raise ValueError("the token is bound in a way that is not supported")
    values = tuple(confirmation.get(name, "") for name in (KEY, CERTIFICATE))
    if not all(type(value) is str and len(value) in {0, THUMBPRINT_LENGTH} for value in values) or not any(values):
        raise ValueError("the token is bound to something that is no SHA-256 thumbprint")
    return Binding(*values)


def base64url(data: bytes) -> str:
    """Return bytes in base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()
