"""`crypto.x509.*` and `crypto.parse_private_keys`: certificates, requests and keys from PEM or base64 of DER."""

import base64
import re
from collections.abc import Iterator
from typing import Any, Final

from ztag_extauthz.rego.builtins.encoding import decode_base64
from ztag_extauthz.rego.builtins.golang.text import to_bytes
from ztag_extauthz.rego.builtins.interface import builtin, string
from ztag_extauthz.rego.builtins.x509 import certificates, der, public_keys
from ztag_extauthz.rego.errors import BuiltinError
from ztag_extauthz.rego.values import Value

_BLOCK: Final = re.compile(
    rb"-----BEGIN ([A-Z0-9 ]+)-----[ \t]*\r?\n([A-Za-z0-9+/=\r\n]*?)\r?\n?-----END \1-----[ \t]*(?:\r?\n|$)"
)
_KEYS: Final = ("RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY")


def blocks(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Give the blocks of PEM with their types. What Go might read otherwise, such as headers, is not supported."""
    found = list(_BLOCK.finditer(data))
    if len(found) != data.count(b"-----BEGIN") or len(found) != data.count(b"-----END"):
        raise der.unsupported("unusual PEM")
    for match in found:
        body = re.sub(rb"[\r\n]", b"", match[2])
        if len(body) % 4 or not re.fullmatch(rb"[A-Za-z0-9+/]*={0,2}", body):
            raise der.unsupported("unusual PEM")
        yield match[1].decode(), base64.b64decode(body)


def _certificates(text: str) -> bytes:
    """Give the DER of all certificates in a text."""
    data = to_bytes(text) if text.startswith("-----BEGIN") else decode_base64(text)
    if not data.startswith(b"-----BEGIN"):
        return data
    parts = list(blocks(data))
    if any(kind != "CERTIFICATE" for kind, _ in parts):
        raise BuiltinError("PEM block type is not CERTIFICATE")
    return b"".join(content for _, content in parts)


@builtin("crypto.x509.parse_certificates")
def parse_certificates(text: Value) -> Value:
    return certificates.certificates(_certificates(string(text, 1)))


@builtin("crypto.x509.parse_certificate_request")
def parse_certificate_request(text: Value) -> Value:
    data = to_bytes(string(text, 1))
    if not text.startswith("-----BEGIN CERTIFICATE REQUEST-----"):
        data = decode_base64(text)
    if b"-----BEGIN" in data:
        (kind, data), *_ = blocks(data)
        if kind != "CERTIFICATE REQUEST":
            raise BuiltinError("invalid PEM-encoded certificate signing request")
    return certificates.request(data)


def _private_keys(data: bytes) -> list[Any]:
    return [public_keys.private_key(content) for kind, content in blocks(data) if kind in _KEYS]


@builtin("crypto.parse_private_keys")
def parse_private_keys(text: Value) -> Value:
    if not string(text, 1):
        return None
    try:
        data = decode_base64(text)
    except BuiltinError:
        data = to_bytes(text)
    return [public_keys.private_parts(key) for key in _private_keys(data)]


@builtin("crypto.x509.parse_rsa_private_key")
def parse_rsa_private_key(text: Value) -> Value:
    if not string(text, 1):
        raise BuiltinError("input PEM data was empty")
    keys = _private_keys(to_bytes(text) if text.startswith("-----BEGIN") else decode_base64(text))
    return public_keys.web_key(keys[0]) if keys else None


@builtin("crypto.x509.parse_keypair")
def parse_keypair(certificate: Value, key: Value) -> Value:
    parts = _pem(string(certificate, 1), "CERTIFICATE")
    chain = [content for kind, content in parts if kind == "CERTIFICATE"]
    keys = [data for kind, data in _pem(string(key, 1), "PRIVATE KEY") if kind.endswith("PRIVATE KEY")]
    if not chain or not keys:
        raise BuiltinError("tls: failed to find a certificate or a key in PEM input")
    own = public_keys.private_key(keys[0])
    leaf, rest = der.read(chain[0])
    if rest:
        raise der.unsupported("something behind it")
    shown = certificates.certificate(leaf)
    del shown["URIStrings"]
    if public_keys.public_parts(own.public_key()) != (shown["PublicKeyAlgorithm"], shown["PublicKey"]):
        raise BuiltinError("tls: private key does not match public key")
    nothing = dict.fromkeys(("OCSPStaple", "SignedCertificateTimestamps", "SupportedSignatureAlgorithms"))
    encoded = [public_keys.base64_text(content) for content in chain]
    return {**nothing, "Certificate": encoded, "PrivateKey": public_keys.private_parts(own), "Leaf": shown}


def _pem(text: str, kind: str) -> list[tuple[str, bytes]]:
    data = to_bytes(text) if text.startswith("-----BEGIN ") else decode_base64(text)
    return list(blocks(data)) if data.startswith(b"-----BEGIN ") else [(kind, data)]
