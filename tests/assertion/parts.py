"""Signing keys on disk, and requests to an upstream."""

from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from msgspec.structs import replace

from tests.authentication.parts import Clock, request
from ztag_extauthz.assertion.settings import AssertionSettings
from ztag_extauthz.assertion.signer import Signer
from ztag_extauthz.model import Identity, Peer, Request

ISSUER = "https://ztag.example"
ANN = Identity("ann", "https://issuer.example", "jwt", {}, 1_800_000_600.0, ("read", "write"), ("editor",), ())


def write_key(path: Path, algorithm: str = "ES256") -> None:
    key = ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else ed25519.Ed25519PrivateKey.generate()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def signer(folder: Path, clock: Clock | None = None, **changes: Any) -> Signer:
    good = {"issuer": ISSUER, "keys": ["key.pem"]}
    return AssertionSettings.model_validate(good | changes).build(folder, clock or Clock())


def to(upstream: str, principal: str = "", **headers: str) -> Request:
    asked = replace(request(**headers), context_extensions={"ztag-audience": upstream} if upstream else {})
    return replace(asked, source=Peer("10.0.0.1", 1, principal))
