"""From a JSON Web Key to a function that verifies (RFC 7517, 7518, 8037, 9864).

A key is prepared once for each algorithm that it fits, with everything OpenSSL wants, so that verifying a token costs
what OpenSSL costs. An algorithm that is not in the table does not exist; there is no symmetric one and no `none`.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from ztag_extauthz.authentication.jose.text import decode_base64url

Verify: TypeAlias = Callable[[bytes, bytes], bool]
"""(signature, signed bytes) → whether the key made it."""

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
"""Larger keys would cost every request milliseconds."""

_RSA: Mapping[str, tuple[padding.AsymmetricPadding, hashes.HashAlgorithm]] = MappingProxyType(
    {
        f"{family}{bits}": (pad, digest)
        for bits, digest in (("256", hashes.SHA256()), ("384", hashes.SHA384()), ("512", hashes.SHA512()))
        for family, pad in (
            ("RS", padding.PKCS1v15()),
            ("PS", padding.PSS(padding.MGF1(digest), digest.digest_size)),  # RFC 7518 3.5: salt as long as the hash
        )
    }
)
_CURVES: Mapping[str, tuple[str, ec.EllipticCurve, hashes.HashAlgorithm]] = MappingProxyType(
    {
        "P-256": ("ES256", ec.SECP256R1(), hashes.SHA256()),
        "P-384": ("ES384", ec.SECP384R1(), hashes.SHA384()),
        "P-521": ("ES512", ec.SECP521R1(), hashes.SHA512()),
    }
)


def prepare(jwk: Mapping[str, Any]) -> dict[str, Verify]:
    """Return a verifier for each algorithm that the key's type and curve fit. Raises `ValueError`."""
    make = _MAKERS.get(_text(jwk, "kty"))
    if make is None:
        raise ValueError("its kty is not supported")
    verifiers = make(jwk)
    if "alg" not in jwk:
        return verifiers
    pinned = _text(jwk, "alg")
    # RFC 9864 renamed what RFC 8037 called EdDSA: the same signature under two names.
    names = {"EdDSA", "Ed25519", "Ed448"} if pinned == "EdDSA" else {pinned, "EdDSA"}
    fitting = {name: verify for name, verify in verifiers.items() if name in names}
    if not fitting:
        raise ValueError("its alg does not fit its kty or crv")
    return fitting


def _rsa(jwk: Mapping[str, Any]) -> dict[str, Verify]:
    modulus, exponent = (int.from_bytes(_bytes(jwk, name)) for name in ("n", "e"))
    if not MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS:
        raise ValueError(f"an RSA key of {modulus.bit_length()} bits, not {MIN_RSA_BITS} to {MAX_RSA_BITS}")
    if exponent % 2 == 0 or exponent.bit_length() > 32:
        raise ValueError("its RSA exponent is even or too large")
    key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    return {name: _rsa_verifier(key, pad, digest) for name, (pad, digest) in _RSA.items()}


def _rsa_verifier(key: rsa.RSAPublicKey, pad: padding.AsymmetricPadding, digest: hashes.HashAlgorithm) -> Verify:
    def verify(signature: bytes, signed: bytes) -> bool:
        try:
            key.verify(signature, signed, pad, digest)
        except InvalidSignature:
            return False
        return True

    return verify


def _ec(jwk: Mapping[str, Any]) -> dict[str, Verify]:
    if _text(jwk, "crv") not in _CURVES:
        raise ValueError("its crv is not supported")
    name, curve, digest = _CURVES[jwk["crv"]]
    size = (curve.key_size + 7) // 8
    x, y = (_bytes(jwk, coordinate) for coordinate in ("x", "y"))
    if len(x) != size or len(y) != size:
        raise ValueError("x or y has not the length of its curve")
    key = ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), curve).public_key()
    scheme = ec.ECDSA(digest)

    def verify(signature: bytes, signed: bytes) -> bool:
        if len(signature) != 2 * size:
            return False
        r, s = int.from_bytes(signature[:size]), int.from_bytes(signature[size:])
        try:
            key.verify(encode_dss_signature(r, s), signed, scheme)
        except InvalidSignature:
            return False
        return True

    return {name: verify}


def _okp(jwk: Mapping[str, Any]) -> dict[str, Verify]:
    curve = _text(jwk, "crv")
    key: ed25519.Ed25519PublicKey | ed448.Ed448PublicKey
    if curve == "Ed25519":
        key = ed25519.Ed25519PublicKey.from_public_bytes(_bytes(jwk, "x"))
    elif curve == "Ed448":
        key = ed448.Ed448PublicKey.from_public_bytes(_bytes(jwk, "x"))
    else:
        raise ValueError("its crv is not supported")

    def verify(signature: bytes, signed: bytes) -> bool:
        try:
            key.verify(signature, signed)
        except InvalidSignature:
            return False
        return True

    return {"EdDSA": verify, curve: verify}


def _text(jwk: Mapping[str, Any], name: str) -> str:
    value = jwk.get(name)
    if not isinstance(value, str):
        raise ValueError(f"its {name} is missing or not text")  # noqa: TRY004 - a wrong key, not a wrong call
    return value


def _bytes(jwk: Mapping[str, Any], name: str) -> bytes:
    return decode_base64url(_text(jwk, name).encode())


_MAKERS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Verify]]] = MappingProxyType(
    {"RSA": _rsa, "EC": _ec, "OKP": _okp}
)
