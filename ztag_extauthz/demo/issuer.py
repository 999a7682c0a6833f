"""An identity provider with real keys: OIDC discovery, a key set, and tokens good and bad."""

import base64
import json
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from ztag_extauthz.demo.upstream import JsonHandler, LocalServer

AUDIENCE = "mesh"
HOUR = 3600.0
HEADER = {"typ": "at+jwt"}


class Issuer:
    """Publishes an RSA and an EC key, and signs what it is asked to."""

    def __init__(
        self, bind: tuple[str, int] = ("127.0.0.1", 0), url: str = "", *, tokens_for_all: bool = False
    ) -> None:
        """`url` is how others reach `bind`. With `tokens_for_all`, `/token?sub=…` gives anybody a token."""
        self.rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.asked: list[str] = []
        """Paths that were fetched."""
        self._tokens_for_all = tokens_for_all
        self._server = LocalServer(self._handler(), bind)
        self.url = url or f"http://127.0.0.1:{self._server.address[1]}"

    def key_set(self) -> dict[str, Any]:
        keys = [
            {**json.loads(RSAAlgorithm.to_jwk(self.rsa.public_key())), "kid": "rsa", "alg": "RS256", "use": "sig"},
            {**json.loads(ECAlgorithm.to_jwk(self.ec.public_key())), "kid": "ec", "alg": "ES256", "use": "sig"},
        ]
        return {"keys": keys}

    def token(self, subject: str, *, kid: str = "rsa", headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """Return a signed token for an hour; `claims` add to its content or replace it."""
        key, algorithm = (self.ec, "ES256") if kid == "ec" else (self.rsa, "RS256")
        return jwt.encode(
            self._claims(subject, claims), key, algorithm, headers={**HEADER, "kid": kid, **(headers or {})}
        )

    def forged(self, subject: str, **claims: Any) -> str:
        """Return a token that names our key and is signed with another."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return jwt.encode(self._claims(subject, claims), key, "RS256", headers={**HEADER, "kid": "rsa"})

    def unsigned(self, subject: str, **claims: Any) -> str:
        """Return a token with `alg: none`."""
        parts = ({**HEADER, "alg": "none", "kid": "rsa"}, self._claims(subject, claims))
        return (
            ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."
        )

    def stop(self) -> None:
        self._server.stop()

    def _token_for(self, path: str) -> dict[str, str]:
        wanted = parse_qs(urlsplit(path).query)
        return {"token": self.token(wanted.get("sub", ["ann"])[0], roles=wanted.get("role", []))}

    def _claims(self, subject: str, claims: dict[str, Any]) -> dict[str, Any]:
        now = int(time.time())
        times = {"iat": now, "exp": now + int(HOUR)}
        rest = {"client_id": "demo", "jti": str(uuid4())}
        return {"iss": self.url, "sub": subject, "aud": AUDIENCE, **times, **rest, **claims}

    def _handler(self) -> type[JsonHandler]:
        issuer = self

        class Handler(JsonHandler):
            def document(self) -> Any:
                issuer.asked.append(self.path)
                if self.path == "/.well-known/openid-configuration":
                    return {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys"}
                if self.path.startswith("/token?") and issuer._tokens_for_all:
                    return issuer._token_for(self.path)
                return issuer.key_set() if self.path == "/keys" else None

        return Handler
