"""The keys that sign assertions, and the set of their public parts."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from msgspec import Struct

from ztag_extauthz.authentication.jose.thumbprint import thumbprint
from ztag_extauthz.authentication.possession import base64url
from ztag_extauthz.errors import Mistake, SettingsError

_REMEDY = "make one with: openssl genpkey -algorithm ed25519, or -algorithm EC -pkeyopt ec_paramgen_curve:P-256"


class SigningKey(Struct, frozen=True):
    """One private key."""

    id: str
    """Thumbprint of the public part (RFC 7638), so that replicas with one file call it alike."""
    algorithm: str
    sign: Callable[[bytes], bytes]
    jwk: dict[str, Any]
    """The public part."""


def read_keys(folder: Path, names: Sequence[str]) -> tuple[SigningKey, ...]:
    """Return the keys of PEM files. Raises `SettingsError`."""
    return tuple(_read(folder / name) for name in names)


def key_set(keys: Sequence[SigningKey]) -> bytes:
    """Return the public parts as a JSON Web Key Set."""
    return json.dumps({"keys": [key.jwk for key in keys]}).encode()


def _read(path: Path) -> SigningKey:
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise SettingsError((Mistake(str(path), f"cannot be read: {error.strerror}", _REMEDY),)) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SettingsError((Mistake(str(path), "is no private key in PEM without a password", _REMEDY),)) from error
    if isinstance(key, ed25519.Ed25519PrivateKey):
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": base64url(key.public_key().public_bytes_raw())}
        return _signing_key("EdDSA", key.sign, jwk)
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        numbers = key.public_key().public_numbers()
        jwk = {
            "kty": "EC",
            "crv": "P-256",
            "x": base64url(numbers.x.to_bytes(32)),
            "y": base64url(numbers.y.to_bytes(32)),
        }
        return _signing_key("ES256", _es256(key), jwk)
    raise SettingsError((Mistake(str(path), "is neither a P-256 nor an Ed25519 key", _REMEDY),))


def _signing_key(algorithm: str, sign: Callable[[bytes], bytes], jwk: dict[str, Any]) -> SigningKey:
    name = thumbprint(jwk)
    return SigningKey(name, algorithm, sign, {**jwk, "kid": name, "alg": algorithm, "use": "sig"})


def _es256(key: ec.EllipticCurvePrivateKey) -> Callable[[bytes], bytes]:
    scheme = ec.ECDSA(hashes.SHA256())

    def sign(data: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(data, scheme))
        return r.to_bytes(32) + s.to_bytes(32)

    return sign
