"""A whole ztag without sockets, with rules that are simple enough to be judged a second time, from the bytes.

Its policy lets those with a token read orders, and place small ones; and one workload, which its certificate names.
"""

import json
import re
import time
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import jwt
import yaml
from cryptography.hazmat.primitives.asymmetric import ed25519
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse

from loadtest.corpus import AUDIENCE, ISSUER
from loadtest.fuzz.target import forbid
from loadtest.stages import FOREVER, run
from ztag_extauthz.authentication.jose.thumbprint import thumbprint
from ztag_extauthz.component import Resources
from ztag_extauthz.meter import Meter
from ztag_extauthz.server.core import RpcError
from ztag_extauthz.settings import load
from ztag_extauthz.wiring import build

WORKLOAD: Final = "spiffe://mesh.example/ns/shop/sa/frontend"
PROXY: Final = "spiffe://mesh.example/ns/edge/sa/gateway"
ALGORITHM: Final = "EdDSA"
KEY_ID: Final = "fuzz"
KEY: Final = ed25519.Ed25519PrivateKey.from_private_bytes(sha256(b"fuzz").digest())
"""The issuer's key, the same in each run: a seed that holds a token means the same later."""
POLICY: Final = f"""package fuzz

default result := {{"allowed": false}}

known := {{"allowed": true, "headers": {{"x-user": input.identity.subject}}}} if input.identity.kind == "jwt"

result := known if {{
	input.attributes.request.http.method == "GET"
	input.parsed_path[0] == "orders"
}}

result := known if {{
	input.attributes.request.http.method == "POST"
	input.parsed_path == ["orders"]
	not input.truncated_body
	is_number(input.parsed_body.amount)
	input.parsed_body.amount <= 1000
}}

result := {{"allowed": true}} if {{
	input.identity.kind == "mesh"
	input.identity.subject == "{WORKLOAD}"
}}
"""
_PATH: Final = re.compile(r"/orders(?:/[^?#]*)?(?:\?.*)?", re.DOTALL)
_NEVER_IN_PATHS: Final = re.compile(r"(?i)%2f|%5c|\\|%00|[\0-\x20\x7f;#]|//|/\.\.?(?:/|$|%)|%2e")


class Gateway:
    """The whole, and the key that its issuer signs with."""

    def __init__(self, folder: Path, *authentication: Mapping[str, Any]) -> None:
        self.public = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(KEY.public_key()))
        keys = [{**self.public, "kid": KEY_ID, "use": "sig", "alg": ALGORITHM}]
        (folder / "jwks.json").write_text(json.dumps({"keys": keys}))
        (folder / "fuzz.rego").write_text(POLICY)
        settings = {
            "authentication": [*authentication, {"kind": "anonymous"}],
            "authorization": [{"kind": "rego", "policies": ["fuzz.rego"], "decision": "fuzz/result"}],
            "response": {"owned_headers": ["x-user"]},
            "reporting": [{"kind": "audit", "to": "/dev/null"}],
        }
        (folder / "ztag.yaml").write_text(yaml.safe_dump(settings))
        self.core = build(load(folder / "ztag.yaml", {}), Resources(folder, time.time, Meter())).core

    def signed(self, claims: Mapping[str, Any], **header: Any) -> str:
        return jwt.encode(dict(claims), KEY, ALGORITHM, headers={"kid": KEY_ID, "typ": "at+jwt", **header})

    def token(self, subject: str, **claims: Any) -> str:
        return self.signed({**good_claims(subject), **claims})

    def bound(self, subject: str) -> str:
        """Return a token that is bound to our own key."""
        return self.token(subject, cnf={"jkt": thumbprint(self.public)})

    def ask(self, message: bytes) -> CheckResponse | None:
        """Return the answer, None for an error of the call."""
        try:
            return CheckResponse.FromString(run(self.core.check(message, FOREVER)))
        except RpcError:
            return None


def jwt_settings(**more: Any) -> dict[str, Any]:
    jwks = {"file": "jwks.json"}
    return {"kind": "jwt", "issuer": ISSUER, "audiences": [AUDIENCE], "algorithms": [ALGORITHM], "jwks": jwks, **more}


def good_claims(subject: str) -> dict[str, Any]:
    times = {"iat": 1_700_000_000, "exp": 4_000_000_000}
    return {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "client_id": "shop", "jti": f"{subject}-1", **times}


def is_allowed(response: CheckResponse | None) -> bool:
    return response is not None and response.status.code == 0 and not response.HasField("denied_response")


def judge(message: bytes, response: CheckResponse | None, subjects: Mapping[str, str]) -> None:
    """Raise `WrongError` where an answer allows what the rules forbid; `subjects` by token."""
    if not is_allowed(response) or response is None:
        return
    http = CheckRequest.FromString(message).attributes.request.http
    named = [value for name, value in http.headers.items() if name.lower() == "authorization"]
    named += [_text(one) for one in http.header_map.headers if one.key.lower() == "authorization"]
    forbid(len(set(named)) != 1, "allowed without exactly one authorization header")
    scheme, _, token = named[0].partition(" ")
    subject = subjects.get(token.strip(" "))
    forbid(scheme.lower() != "bearer" or subject is None, "allowed with another token than was signed")
    told = [one.header.value for one in response.ok_response.headers if one.header.key.lower() == "x-user"]
    forbid(told != [subject], "the upstream is told another user than the token names")
    pseudo = {name: value for name, value in http.headers.items() if name.startswith(":")}
    pseudo |= {one.key: _text(one) for one in http.header_map.headers if one.key.startswith(":")}
    method, path = http.method or pseudo.get(":method"), http.path or pseudo.get(":path", "")
    forbid(not _PATH.fullmatch(path) or _NEVER_IN_PATHS.search(path.partition("?")[0]), "allowed on another path")
    forbid(method not in {"GET", "POST"}, "allowed with another method")
    if method == "POST":
        amount = json.loads(http.body or http.raw_body.decode(errors="replace"))["amount"]
        forbid(not isinstance(amount, int | float) or amount > 1000, "allowed for a larger order")


def _text(header: Any) -> str:
    return str(header.value or header.raw_value.decode(errors="replace"))
