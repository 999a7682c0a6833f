"""Keys: from a PEM certificate or public key, or from a JWK or a set of them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from ztag_extauthz.rego.builtins.encoding import decode_base64url, parse_json
from ztag_extauthz.rego.errors import BuiltinError
from ztag_extauthz.rego.values import Value

KeyObject: TypeAlias = Any
ALGORITHMS: Final = frozenset(f"{family}{bits}" for family in ("RS", "PS", "ES", "HS") for bits in (256, 384, 512)) | {
    "EdDSA"
}

# No block holds the beginning of another one: without that each beginning would be followed to the text's end.
_PEM: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(?:(?!-----BEGIN ).)*?-----END \1-----[ \t]*\r?\n?", re.DOTALL)
_CURVES: Final[dict[str, Callable[[], ec.EllipticCurve]]] = {
    "P-256": ec.SECP256R1,
    "P-384": ec.SECP384R1,
    "P-521": ec.SECP521R1,
}


@dataclass(frozen=True, slots=True)
class Key:
    material: KeyObject
    algorithm: str = ""
    identifier: str = ""


@lru_cache(maxsize=256)
def verification_keys(text: str) -> tuple[Key, ...]:
    """Read what a token may be verified with; a `BuiltinError` says what is wrong with it."""
    try:
        match = _PEM.search(text)
        if match is not None:
            return (_from_pem(text, match),)
        return tuple(key for key in jwk_set(text) if not key.algorithm or key.algorithm in ALGORITHMS)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BuiltinError(f"failed to parse a key: {error}") from None


def _from_pem(text: str, match: re.Match[str]) -> Key:
    if text[match.end() :]:
        raise BuiltinError("extra data after a PEM certificate block")
    data = match[0].encode()
    if match[1] == "CERTIFICATE":
        return Key(x509.load_pem_x509_certificate(data).public_key())
    if match[1] == "PUBLIC KEY":
        return Key(load_pem_public_key(data))
    raise BuiltinError("failed to extract a Key from the PEM certificate")


def jwk_set(text: str) -> list[Key]:
    """Read one JWK, or all of a set."""
    document = parse_json(text)
    if document.__class__ is not dict:
        raise BuiltinError("failed to parse a JWK key (set)")
    entries = document["keys"] if "keys" in document and "kty" not in document else [document]
    if entries.__class__ is not list:
        raise BuiltinError("failed to parse a JWK key (set)")
    return [_from_jwk(entry) for entry in entries]


def _from_jwk(entry: Value) -> Key:
    if entry.__class__ is not dict:
        raise BuiltinError("failed to parse a JWK key (set)")
    read = _READERS.get(_text(entry, "kty"))
    if read is None:
        raise BuiltinError("failed to parse a JWK key (set): invalid key type")
    return Key(read(entry), _text(entry, "alg", ""), _text(entry, "kid", ""))


def _text(entry: dict[str, Value], name: str, default: str | None = None) -> str:
    value = entry.get(name, default)
    if value.__class__ is not str:
        raise BuiltinError(f"failed to parse a JWK key (set): {name} is missing or no string")
    return value


def _number(entry: dict[str, Value], name: str) -> int:
    return int.from_bytes(decode_base64url(_text(entry, name)))


def _rsa(entry: dict[str, Value]) -> KeyObject:
    public = rsa.RSAPublicNumbers(_number(entry, "e"), _number(entry, "n"))
    if "d" not in entry:
        return public.public_key()
    exponent = _number(entry, "d")
    if "p" in entry and "q" in entry:
        p, q = _number(entry, "p"), _number(entry, "q")
    else:
        p, q = rsa.rsa_recover_prime_factors(public.n, public.e, exponent)
    first, second, inverse = rsa.rsa_crt_dmp1(exponent, p), rsa.rsa_crt_dmq1(exponent, q), rsa.rsa_crt_iqmp(p, q)
    return rsa.RSAPrivateNumbers(p, q, exponent, first, second, inverse, public).private_key()


def _ec(entry: dict[str, Value]) -> KeyObject:
    curve = _CURVES.get(_text(entry, "crv"))
    if curve is None:
        raise BuiltinError("failed to parse a JWK key (set): unknown curve")
    public = ec.EllipticCurvePublicNumbers(_number(entry, "x"), _number(entry, "y"), curve())
    if "d" not in entry:
        return public.public_key()
    return ec.EllipticCurvePrivateNumbers(_number(entry, "d"), public).private_key()


def _okp(entry: dict[str, Value]) -> KeyObject:
    if _text(entry, "crv") != "Ed25519":
        raise BuiltinError("failed to parse a JWK key (set): unknown curve")
    if "d" in entry:
        return ed25519.Ed25519PrivateKey.from_private_bytes(decode_base64url(_text(entry, "d")))
    return ed25519.Ed25519PublicKey.from_public_bytes(decode_base64url(_text(entry, "x")))


_READERS: Final[dict[str, Callable[[dict[str, Value]], KeyObject]]] = {
    "RSA": _rsa,
    "EC": _ec,
    "OKP": _okp,
    "oct": lambda entry: decode_base64url(_text(entry, "k")),
}
