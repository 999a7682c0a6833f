"""Public and private keys as Go shows them: RSA, ECDSA on NIST's curves, and Ed25519."""

import base64
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key

from ztag_extauthz.rego.builtins.x509.der import unsupported
from ztag_extauthz.rego.errors import BuiltinError
from ztag_extauthz.rego.values import Value

_CURVES: Final = {"secp224r1", "secp256r1", "secp384r1", "secp521r1"}
_SIGNATURES: Final = {
    (1, 2, 840, 113549, 1, 1, 5): 3,
    (1, 2, 840, 113549, 1, 1, 11): 4,
    (1, 2, 840, 113549, 1, 1, 12): 5,
    (1, 2, 840, 113549, 1, 1, 13): 6,
    (1, 2, 840, 10045, 4, 1): 9,
    (1, 2, 840, 10045, 4, 3, 2): 10,
    (1, 2, 840, 10045, 4, 3, 3): 11,
    (1, 2, 840, 10045, 4, 3, 4): 12,
    (1, 3, 101, 112): 16,
}


def base64_text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def signature_algorithm(kind: tuple[int, ...]) -> int:
    """Give Go's number of an algorithm."""
    if kind not in _SIGNATURES:
        raise unsupported("a signature of this algorithm")
    return _SIGNATURES[kind]


def public_key(spki: bytes) -> tuple[int, Value]:
    """Read a `SubjectPublicKeyInfo`; give Go's number of the algorithm, and the key."""
    try:
        key = load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm):
        raise unsupported("a public key of this kind") from None
    return public_parts(key)


def public_parts(key: Any) -> tuple[int, Value]:

    if isinstance(key, rsa.RSAPublicKey):
        return 1, _rsa(key.public_numbers())
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        point = key.public_numbers()
        return 3, {"Curve": {}, "X": point.x, "Y": point.y}
    if isinstance(key, ed25519.Ed25519PublicKey):
        return 4, base64_text(key.public_bytes_raw())
    raise unsupported("a public key of this kind")


def _rsa(numbers: Any) -> dict[str, Value]:
    if numbers.e >= 1 << 31 or numbers.n.bit_length() < 1024:
        raise unsupported("an unusual RSA key")
    return {"N": numbers.n, "E": numbers.e}


def private_key(data: bytes) -> Any:
    """Read a private key of PKCS 1, PKCS 8 or SEC 1."""
    try:
        return load_der_private_key(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        if data[:1] != b"\x30":
            raise BuiltinError("x509: failed to parse private key") from None
        raise unsupported("a private key of this kind") from None


def private_parts(key: Any) -> Value:
    """Give a private key as Go writes it."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return base64_text(key.private_bytes_raw() + key.public_key().public_bytes_raw())
    if isinstance(key, ec.EllipticCurvePrivateKey):
        _, point = public_parts(key.public_key())
        return {**point, "D": key.private_numbers().private_value}
    if not isinstance(key, rsa.RSAPrivateKey):
        raise unsupported("a private key of this kind")
    numbers = key.private_numbers()
    computed = {"Dp": numbers.dmp1, "Dq": numbers.dmq1, "Qinv": numbers.iqmp, "CRTValues": []}
    return {**_rsa(numbers.public_numbers), "D": numbers.d, "Primes": [numbers.p, numbers.q], "Precomputed": computed}


def web_key(key: Any) -> Value:
    """Give a private key as a JSON Web Key."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        own = {"d": key.private_bytes_raw(), "x": key.public_key().public_bytes_raw()}
        return {"kty": "OKP", "crv": "Ed25519"} | {name: _url(data) for name, data in own.items()}
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.key_size in (256, 384, 521):
        size, private = (key.key_size + 7) // 8, key.private_numbers()
        point = private.public_numbers
        numbers = {"d": private.private_value, "x": point.x, "y": point.y}
        return {"kty": "EC", "crv": f"P-{key.key_size}"} | {
            name: _url(number.to_bytes(size, "big")) for name, number in numbers.items()
        }
    if not isinstance(key, rsa.RSAPrivateKey):
        raise unsupported("a private key of this kind")
    rsa_numbers = key.private_numbers()
    public = _rsa(rsa_numbers.public_numbers)
    numbers = {"n": public["N"], "e": public["E"], "d": rsa_numbers.d, "p": rsa_numbers.p, "q": rsa_numbers.q}
    numbers |= {"dp": rsa_numbers.dmp1, "dq": rsa_numbers.dmq1, "qi": rsa_numbers.iqmp}
    return {"kty": "RSA"} | {
        name: _url(number.to_bytes((number.bit_length() + 7) // 8, "big")) for name, number in numbers.items()
    }


def _url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
