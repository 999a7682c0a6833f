"""CheckRequests as an Envoy in front of browsers sends them: about 1.2 kB, twenty headers, a signed token."""

import json
import time
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest

ISSUER = "https://issuer.example"
AUDIENCE = "mesh"
KEY_ID = "2026-11"

_HEADERS = {
    "accept": "application/json",
    "accept-encoding": "gzip, deflate, br, zstd",
    "accept-language": "en-GB,en;q=0.9,de;q=0.8",
    "cache-control": "no-cache",
    "cookie": "theme=dark; consent=1; locale=en-GB",
    "origin": "https://shop.example",
    "referer": "https://shop.example/catalogue?page=2",
    "sec-fetch-dest": "empty",
    "sec-fetch-mode": "cors",
    "sec-fetch-site": "same-origin",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36",
    "x-forwarded-proto": "https",
    "x-request-id": "0f2f6a5e-63c4-4d59-9a0a-8f3f1f0c9a11",
}


class Issuer:
    """An issuer with one RSA key."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def write_keys(self, path: Path) -> None:
        """Write the public key set."""
        jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        path.write_text(json.dumps({"keys": [{**jwk, "kid": KEY_ID, "use": "sig", "alg": "RS256"}]}))

    def token(self, subject: str, roles: tuple[str, ...]) -> str:
        """Return a signed access token (RFC 9068)."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "client_id": "shop",
            "jti": f"{subject}-1",
            "iat": now,
            "exp": now + 3600,
            "roles": list(roles),
        }
        return jwt.encode(claims, self._key, "RS256", headers={"kid": KEY_ID, "typ": "at+jwt"})


def check_request(token: str, path: str, method: str = "GET") -> bytes:
    """Return an encoded CheckRequest."""
    request = CheckRequest()
    attributes = request.attributes
    attributes.source.address.socket_address.address = "10.2.0.17"
    attributes.source.address.socket_address.port_value = 41822
    attributes.source.principal = "spiffe://mesh.example/ns/shop/sa/frontend"
    attributes.destination.address.socket_address.address = "10.2.0.40"
    attributes.destination.address.socket_address.port_value = 8080
    attributes.request.time.GetCurrentTime()
    http = attributes.request.http
    http.id = "11962545816968179286"
    http.method, http.path, http.host, http.scheme, http.protocol = method, path, "shop.example", "https", "HTTP/2"
    http.headers.update(_HEADERS)
    pseudo = {":authority": "shop.example", ":method": method, ":path": path, ":scheme": "https"}
    http.headers.update({**pseudo, "authorization": f"Bearer {token}"})
    return bytes(request.SerializeToString())
