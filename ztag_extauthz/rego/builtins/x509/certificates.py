"""Certificates and certificate requests, with all fields that Go's JSON of them has."""

from typing import Final

from ztag_extauthz.rego.builtins.x509 import der
from ztag_extauthz.rego.builtins.x509.extensions import NOTHING, extensions
from ztag_extauthz.rego.builtins.x509.names import name
from ztag_extauthz.rego.builtins.x509.public_keys import base64_text, public_key, signature_algorithm
from ztag_extauthz.rego.errors import BuiltinError
from ztag_extauthz.rego.values import Value

_EXTENSION_REQUEST: Final = (1, 2, 840, 113549, 1, 9, 14)
_REQUEST_FIELDS: Final = ("DNSNames", "EmailAddresses", "Extensions", "ExtraExtensions", "IPAddresses", "URIs")


def certificates(data: bytes) -> list[dict[str, Value]]:
    """Read certificates that stand one behind the other."""
    found = []
    while data:
        element, data = der.read(data)
        found.append(certificate(element))
    return found


def certificate(whole: der.Element) -> dict[str, Value]:
    signed, kind, signature = _signed(whole)
    fields = der.Fields(signed.content)
    version = _version(fields.maybe(0xA0))
    serial = der.integer(fields.take(der.INTEGER))
    if fields.take(der.SEQUENCE).raw != kind.raw:
        raise der.unsupported("two algorithms of its signature")
    issuer, validity = fields.take(der.SEQUENCE), der.Fields(fields.take(der.SEQUENCE).content)
    subject, spki = fields.take(der.SEQUENCE), fields.take(der.SEQUENCE)
    extra = fields.maybe(0xA3)
    fields.end()
    if extra is not None and version != 3:
        raise der.unsupported("extensions, which its version does not have")
    algorithm, key = public_key(spki.raw)
    times = [der.time(validity.take(der.UTC_TIME, der.TIME)) for _ in range(2)]
    return {
        **NOTHING,
        **({} if extra is None else extensions(der.Fields(extra.content).take(der.SEQUENCE).content)),
        "Raw": base64_text(whole.raw),
        "RawTBSCertificate": base64_text(signed.raw),
        "RawSubjectPublicKeyInfo": base64_text(spki.raw),
        "RawSubject": base64_text(subject.raw),
        "RawIssuer": base64_text(issuer.raw),
        "Signature": base64_text(signature),
        "SignatureAlgorithm": _algorithm(kind),
        "PublicKeyAlgorithm": algorithm,
        "PublicKey": key,
        "Version": version,
        "SerialNumber": serial,
        "Issuer": name(issuer),
        "Subject": name(subject),
        "NotBefore": times[0],
        "NotAfter": times[1],
    }


def request(data: bytes) -> dict[str, Value]:
    """Read a certificate request."""
    whole, rest = der.read(data)
    if rest:
        raise der.unsupported("something behind a request")
    signed, kind, signature = _signed(whole)
    fields = der.Fields(signed.content)
    version = der.integer(fields.take(der.INTEGER))
    subject, spki = fields.take(der.SEQUENCE), fields.take(der.SEQUENCE)
    attributes = fields.maybe(0xA0)
    fields.end()
    algorithm, key = public_key(spki.raw)
    shown, wanted = _attributes(b"" if attributes is None else attributes.content)
    return {
        **{field: wanted.get(field) for field in _REQUEST_FIELDS},
        "Attributes": shown,
        "Raw": base64_text(whole.raw),
        "RawTBSCertificateRequest": base64_text(signed.raw),
        "RawSubjectPublicKeyInfo": base64_text(spki.raw),
        "RawSubject": base64_text(subject.raw),
        "Version": version,
        "Signature": base64_text(signature),
        "SignatureAlgorithm": _algorithm(kind),
        "PublicKeyAlgorithm": algorithm,
        "PublicKey": key,
        "Subject": name(subject),
    }


def _signed(whole: der.Element) -> tuple[der.Element, der.Element, bytes]:
    """Take apart what is signed: the content, the algorithm, the signature."""
    if whole.tag != der.SEQUENCE:
        raise BuiltinError("asn1: structure error")
    fields = der.Fields(whole.content)
    signed, kind, signature = fields.take(der.SEQUENCE), fields.take(der.SEQUENCE), fields.take(der.BITS)
    fields.end()
    return signed, kind, der.bits(signature)


def _version(element: der.Element | None) -> int:
    version = 1 if element is None else 1 + der.integer(der.Fields(element.content).take(der.INTEGER))
    if version > 3:
        raise BuiltinError("x509: invalid version")
    return version


def _algorithm(kind: der.Element) -> int:
    fields = der.Fields(kind.content)
    number = signature_algorithm(der.oid(fields.take(der.OID)))
    fields.maybe(der.NULL)
    fields.end()
    return number


def _attributes(data: bytes) -> tuple[list[Value] | None, dict[str, Value]]:
    """Read the attributes of a request, of which only the wish for extensions is known here."""
    shown: list[Value] = []
    wanted: dict[str, Value] = {}
    for element in der.elements(data):
        fields = der.Fields(element.content)
        kind, values = der.oid(fields.take(der.OID)), der.Fields(fields.take(der.SET).content)
        if kind != _EXTENSION_REQUEST or wanted:
            raise der.unsupported("attributes of this kind")
        wanted = extensions(values.take(der.SEQUENCE).content)
        values.end()
        shown.append({"Type": list(kind), "Value": [[_wished(item) for item in wanted["Extensions"]]]})
    return shown or None, wanted


def _wished(extension: dict[str, Value]) -> Value:
    """Show a wish as Go does, which takes what stands behind the kind for the value, be it the flag."""
    return {"Type": extension["Id"], "Value": extension["Critical"] or extension["Value"]}
