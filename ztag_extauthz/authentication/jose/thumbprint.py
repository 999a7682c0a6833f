"""The thumbprint of a JSON Web Key (RFC 7638)."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Any

_MEMBERS = MappingProxyType({"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")})
"""What makes each type of key, in the order of their names."""


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """Return the SHA-256 thumbprint in base64url. Raises `ValueError` for what is no public key."""
    kind = jwk.get("kty")
    names = _MEMBERS.get(kind, ()) if type(kind) is str else ()
    members = {name: jwk.get(name) for name in names}
    if not members or not all(type(value) is str for value in members.values()):
        raise ValueError("it is no public key")
    canonical = json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode()
    return urlsafe_b64encode(sha256(canonical).digest()).rstrip(b"=").decode()
