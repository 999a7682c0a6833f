"""DPoP proofs as clients make them, and as they should not."""

import json
from hashlib import sha256
from typing import Any

import jwt as pyjwt

from tests.authentication.parts import NOW, encode, jwk, private_key, request, token
from ztag_extauthz.authentication.jose.thumbprint import thumbprint
from ztag_extauthz.model import Request

CALLED = "https://api.example/orders"


def public(algorithm: str = "ES256", name: str = "-client") -> dict[str, Any]:
    return jwk(algorithm, name, kid=None, alg=None)


def bound(name: str = "-client", **changes: Any) -> str:
    """Return a token that is bound to a client's key."""
    return token(cnf={"jkt": thumbprint(public(name=name))}, **changes)


def ath(text: str) -> str:
    return encode(sha256(text.encode()).digest())


def proof(
    text: str, algorithm: str = "ES256", name: str = "-client", header: dict[str, Any] | None = None, **changes: Any
) -> str:
    """Return a proof for a token; a member or claim that is None is left out."""
    fields = {"typ": "dpop+jwt", "jwk": public(algorithm, name), **(header or {})}
    claims = {"jti": "proof-1", "htm": "GET", "htu": CALLED, "iat": int(NOW), "ath": ath(text)} | changes
    content = {key: value for key, value in claims.items() if value is not None}
    signer = "EdDSA" if algorithm.startswith("Ed") else algorithm
    kept = {key: value for key, value in fields.items() if value is not None}
    if "typ" not in kept:
        kept["typ"] = None
    return pyjwt.encode(content, private_key(algorithm, name), signer, headers=kept)  # type: ignore[arg-type]


def resigned(text: str, header: dict[str, Any], **changes: Any) -> str:
    """Return a proof whose header PyJWT would not write."""
    claims = {"jti": "proof-1", "htm": "GET", "htu": CALLED, "iat": int(NOW), "ath": ath(text)} | changes
    signed = f"{encode(json.dumps(header).encode())}.{encode(json.dumps(claims).encode())}"
    maker = pyjwt.get_algorithm_by_name("ES256")
    return f"{signed}.{encode(maker.sign(signed.encode(), private_key('ES256', '-client')))}"


def shown(text: str, made: str | None, path: str = "/orders", **headers: str) -> Request:
    """Return a request with a token and its proof."""
    named = headers if made is None else {"dpop": made, **headers}
    return request(f"DPoP {text}", path, **named)
