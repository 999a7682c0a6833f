"""`crypto.x509.*` and `crypto.parse_private_keys`: certificates, requests and keys from PEM or base64 of DER."""

import base64
import re
from collections.abc import Iterator
from typing import Any, Final

from ztag_extauthz.rego.builtins.encoding import decode_base64
from ztag_extauthz.rego.builtins.golang.text import to_bytes
from ztag_extauthz.rego.builtins.interface import Context, builtin, obj, string
from ztag_extauthz.rego.builtins.x509 import certificates, der, public_keys, verify
from ztag_extauthz.rego.errors import BuiltinError
from ztag_extauthz.rego.values import Value, int64

_BLOCK: Final = re.compile(
    rb"-----BEGIN ([A-Z0-9 ]+)-----[ \t]*\r?\n([A-Za-z0-9+/=\r\n]*?)\r?\n?-----END \1-----[ \t]*(?:\r?\n|$)"
)
_OPTIONS: Final = ("DNSName", "CurrentTime", "MaxConstraintComparisons", "KeyUsages")
# By Go's numbers, which begin at zero.
_USAGES: Final = (
    "KeyUsageAny",
    "KeyUsageServerAuth",
    "KeyUsageClientAuth",
    "KeyUsageCodeSigning",
    "KeyUsageEmailProtection",
    "KeyUsageIPSECEndSystem",
    "KeyUsageIPSECTunnel",
    "KeyUsageIPSECUser",
    "KeyUsageTimeStamping",
    "KeyUsageOCSPSigning",
    "KeyUsageMicrosoftServerGatedCrypto",
    "KeyUsageNetscapeServerGatedCrypto",
    "KeyUsageMicrosoftCommercialCodeSigning",
    "KeyUsageMicrosoftKernelCodeSigning",
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


@builtin("crypto.x509.parse_and_verify_certificates", context=True, pure=False)
def parse_and_verify_certificates(context: Context, text: Value) -> Value:
    found = _readable(string(text, 1))
    return _verified(found, verify.Wanted(context.now_ns), context)


@builtin("crypto.x509.parse_and_verify_certificates_with_options", context=True, pure=False)
def parse_and_verify_certificates_with_options(context: Context, text: Value, options: Value) -> Value:
    found, options = _readable(string(text, 1)), obj(options, 2)
    if found is None:
        return [False, []]
    valid, chain = _verified(found, _wanted(options, context), context)
    return [valid, [{name: part for name, part in shown.items() if name != "URIStrings"} for shown in chain]]


def _readable(text: str) -> list[Value] | None:
    try:
        return certificates.certificates(_certificates(text))
    except BuiltinError:
        return None


def _verified(found: list[Value] | None, wanted: verify.Wanted, context: Context) -> list[Value]:
    chain = verify.verify(found, wanted, context.check) if found is not None and len(found) > 1 else None
    return [False, []] if chain is None else [True, chain]


def _wanted(options: dict[Any, Value], context: Context) -> verify.Wanted:
    """Read the options; the number of comparisons of names says nothing, as constraints of names are refused."""
    unknown = [name for name in options if name.__class__ is str and name not in _OPTIONS]
    if unknown:
        raise BuiltinError("invalid key option")
    now = int64(options.get("CurrentTime", context.now_ns))
    if now is None or int64(options.get("MaxConstraintComparisons", 0)) is None:
        raise BuiltinError("an option should be a valid number")
    host, usages = options.get("DNSName", ""), options.get("KeyUsages", [])
    if host.__class__ is not str or usages.__class__ not in (list, frozenset):
        raise BuiltinError("'DNSName' should be a string, and 'KeyUsages' should be an Array or Set")
    names = [name.strip('"') for name in usages if name.__class__ is str]
    if any(name not in _USAGES for name in names):
        raise BuiltinError("invalid entries for 'KeyUsages' found")
    numbers = tuple(_USAGES.index(name) for name in names)
    return verify.Wanted(now, host.strip('"'), numbers or (verify.SERVER_AUTH,))


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
