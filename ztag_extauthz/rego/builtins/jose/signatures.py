"""Signing and verifying, by the names of RFC 7518."""

import hmac
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from ztag_extauthz.rego.builtins.jose.keys import KeyObject
from ztag_extauthz.rego.errors import BuiltinError

_HASHES: Final[dict[str, Callable[[], hashes.HashAlgorithm]]] = {
    "256": hashes.SHA256,
    "384": hashes.SHA384,
    "512": hashes.SHA512,
}


def verify(key: KeyObject, algorithm: str, message: bytes, signature: bytes) -> bool:
    """Tell whether a signature is right; a key of another kind than the algorithm's makes it wrong."""
    try:
        if algorithm == "EdDSA":
            return _verify_eddsa(key, message, signature)
        family, bits = algorithm[:2], algorithm[2:]
        if bits not in _HASHES:
            return False
        if family == "HS":
            return isinstance(key, bytes) and hmac.compare_digest(_hmac(key, bits, message), signature)
        if family == "ES":
            return _verify_ecdsa(key, bits, message, signature)
        return family in ("RS", "PS") and _verify_rsa(key, algorithm, message, signature)
    except (InvalidSignature, ValueError):
        return False


def _hmac(key: bytes, bits: str, message: bytes) -> bytes:
    return hmac.new(key, message, f"sha{bits}").digest()


def _verify_rsa(key: KeyObject, algorithm: str, message: bytes, signature: bytes) -> bool:
    if not isinstance(key, rsa.RSAPublicKey):
        return False
    key.verify(signature, message, _padding(algorithm, padding.PSS.AUTO), _HASHES[algorithm[2:]]())
    return True


def _padding(algorithm: str, salt: object) -> padding.AsymmetricPadding:
    if algorithm.startswith("RS"):
        return padding.PKCS1v15()
    return padding.PSS(padding.MGF1(_HASHES[algorithm[2:]]()), salt)  # type: ignore[arg-type]


def _verify_ecdsa(key: KeyObject, bits: str, message: bytes, signature: bytes) -> bool:
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return False
    half = len(signature) // 2
    pair = encode_dss_signature(int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))
    key.verify(pair, message, ec.ECDSA(_HASHES[bits]()))
    return True


def _verify_eddsa(key: KeyObject, message: bytes, signature: bytes) -> bool:
    if not isinstance(key, ed25519.Ed25519PublicKey):
        return False
    key.verify(signature, message)
    return True


def sign(key: KeyObject, algorithm: str, message: bytes) -> bytes:
    family, bits = algorithm[:2], algorithm[2:]
    if family == "HS" and isinstance(key, bytes):
        return _hmac(key, bits, message)
    if family == "ES" and isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(_HASHES[bits]())))
        width = (key.key_size + 7) // 8
        return r.to_bytes(width) + s.to_bytes(width)
    if family in ("RS", "PS") and isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, _padding(algorithm, padding.PSS.DIGEST_LENGTH), _HASHES[bits]())
    if algorithm == "EdDSA" and isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    raise BuiltinError(f"the key does not fit the algorithm {algorithm}")
