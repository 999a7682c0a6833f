"""The extensions of certificates, each as Go reads it into fields of its own."""

import ipaddress
import re
from collections.abc import Callable
from typing import Any, Final

from ztag_extauthz.rego.builtins.x509 import der
from ztag_extauthz.rego.builtins.x509.public_keys import base64_text
from ztag_extauthz.rego.values import Value

_LISTS: Final = (
    "AuthorityKeyId",
    "CRLDistributionPoints",
    "DNSNames",
    "EmailAddresses",
    "ExcludedDNSDomains",
    "ExcludedEmailAddresses",
    "ExcludedIPRanges",
    "ExcludedURIDomains",
    "ExtKeyUsage",
    "Extensions",
    "ExtraExtensions",
    "IPAddresses",
    "IssuingCertificateURL",
    "OCSPServer",
    "PermittedDNSDomains",
    "PermittedEmailAddresses",
    "PermittedIPRanges",
    "PermittedURIDomains",
    "Policies",
    "PolicyIdentifiers",
    "PolicyMappings",
    "SubjectKeyId",
    "URIs",
    "URIStrings",
    "UnhandledCriticalExtensions",
    "UnknownExtKeyUsage",
)
_NUMBERS: Final = (
    "InhibitAnyPolicy",
    "InhibitPolicyMapping",
    "KeyUsage",
    "MaxPathLen",
    "RequireExplicitPolicy",
)
_FLAGS: Final = (
    "BasicConstraintsValid",
    "InhibitAnyPolicyZero",
    "InhibitPolicyMappingZero",
    "IsCA",
    "MaxPathLenZero",
    "PermittedDNSDomainsCritical",
    "RequireExplicitPolicyZero",
)
NOTHING: Final[dict[str, Value]] = dict.fromkeys(_LISTS) | dict.fromkeys(_NUMBERS, 0) | dict.fromkeys(_FLAGS, False)
"""The fields of a certificate without extensions."""

_USAGES: Final[dict[tuple[int, ...], int]] = {
    (2, 5, 29, 37, 0): 0,
    **{(1, 3, 6, 1, 5, 5, 7, 3, number): number for number in range(1, 10)},
    (1, 3, 6, 1, 4, 1, 311, 10, 3, 3): 10,
    (2, 16, 840, 1, 113730, 4, 1): 11,
    (1, 3, 6, 1, 4, 1, 311, 2, 1, 22): 12,
    (1, 3, 6, 1, 4, 1, 311, 61, 1, 1): 13,
}
_ALTERNATIVE_NAMES: Final = ("DNSNames", "EmailAddresses", "URIs", "IPAddresses")
_AUTHORITY_INFORMATION: Final[tuple[int, ...]] = (1, 3, 6, 1, 5, 5, 7, 1, 1)
_SERVICES: Final[dict[tuple[int, ...], str]] = {
    (1, 3, 6, 1, 5, 5, 7, 48, 1): "OCSPServer",
    (1, 3, 6, 1, 5, 5, 7, 48, 2): "IssuingCertificateURL",
}
# Only URIs that need no escapes: what Go makes of others is a long story.
_URI: Final = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>[A-Za-z0-9][A-Za-z0-9-]*(?:\.[A-Za-z0-9][A-Za-z0-9-]*)*)"
    r"(?P<path>(?:/[A-Za-z0-9._~@:=+$&,;/-]*)?)(?:\?(?P<query>[A-Za-z0-9._~=&/-]+))?"
)


def extensions(data: bytes) -> dict[str, Value]:
    """Read a list of extensions; give the fields that they fill."""
    fields: dict[str, Any] = {"Extensions": []}
    seen: set[tuple[int, ...]] = set()
    for element in der.elements(data):
        kind, critical, value = _extension(element)
        if kind in seen:
            raise der.unsupported("an extension that is there twice")
        seen.add(kind)
        fields["Extensions"].append({"Id": list(kind), "Critical": critical, "Value": base64_text(value)})
        if not _read(kind, critical, value, fields) and critical:
            fields.setdefault("UnhandledCriticalExtensions", []).append(list(kind))
    return fields


def _extension(element: der.Element) -> tuple[tuple[int, ...], bool, bytes]:
    fields = der.Fields(element.content)
    kind = der.oid(fields.take(der.OID))
    critical = fields.maybe(der.BOOLEAN)
    value = fields.take(der.OCTETS).content
    fields.end()
    if critical is not None and critical.content not in (b"\xff", b"\0"):
        raise der.unsupported("a badly written extension")
    return kind, critical is not None and critical.content == b"\xff", value


def _read(kind: tuple[int, ...], critical: bool, value: bytes, fields: dict[str, Any]) -> bool:  # noqa: FBT001
    """Read one extension; tell whether Go looks at it at all."""
    reader = _READERS.get(kind)
    if reader is None:
        if kind[:3] == (2, 5, 29) and len(kind) == 4 and kind[3] in (30, 33, 36, 54):
            raise der.unsupported("constraints of names or policies")
        return False
    if critical and kind in ((2, 5, 29, 35), (2, 5, 29, 14), _AUTHORITY_INFORMATION):
        raise der.unsupported("an extension that must not be critical")
    whole, rest = der.read(value)
    if rest:
        raise der.unsupported("something behind the value of an extension")
    reader(whole, fields)
    return reader is not _alternative_names or not fields.keys().isdisjoint(_ALTERNATIVE_NAMES)


def _key_usage(whole: der.Element, fields: dict[str, Any]) -> None:
    if whole.tag != der.BITS or not 2 <= len(whole.content) <= 3 or whole.content[0] > 7:
        raise der.unsupported("a badly written key usage")
    bits = int.from_bytes(whole.content[1:3].ljust(2, b"\0"), "big")
    fields["KeyUsage"] = sum(1 << place for place in range(9) if bits >> (15 - place) & 1)


def _basic_constraints(whole: der.Element, fields: dict[str, Any]) -> None:
    parts = _sequence(whole)
    ca, length = parts.maybe(der.BOOLEAN), parts.maybe(der.INTEGER)
    parts.end()
    if ca is not None and ca.content not in (b"\xff", b"\0"):
        raise der.unsupported("badly written basic constraints")
    is_ca = ca is not None and ca.content == b"\xff"
    if length is not None and not is_ca:
        raise der.unsupported("a length of its path, though it is no authority")
    longest = der.integer(length) if length is not None else -1
    fields |= {"BasicConstraintsValid": True, "IsCA": is_ca, "MaxPathLen": longest, "MaxPathLenZero": longest == 0}


def _alternative_names(whole: der.Element, fields: dict[str, Any]) -> None:
    for name in _members(whole):
        if name.tag == 0x82:
            fields.setdefault("DNSNames", []).append(der.text(name))
        elif name.tag == 0x81:
            fields.setdefault("EmailAddresses", []).append(der.text(name))
        elif name.tag == 0x86:
            fields.setdefault("URIs", []).append(_uri(der.text(name)))
            fields.setdefault("URIStrings", []).append(der.text(name))
        elif name.tag == 0x87:
            fields.setdefault("IPAddresses", []).append(_address(name.content))


def _address(content: bytes) -> str:
    if len(content) not in (4, 16):
        raise der.unsupported("an address of an unusual length")
    address = ipaddress.ip_address(content)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def _uri(text: str) -> Value:
    match = _URI.fullmatch(text)
    if match is None or match["path"].startswith("//"):
        raise der.unsupported("an unusual URI")
    shown = {"Scheme": match["scheme"], "Host": match["host"], "Path": match["path"], "RawQuery": match["query"] or ""}
    empty = dict.fromkeys(("Opaque", "RawPath", "Fragment", "RawFragment"), "")
    return {**shown, **empty, "User": None, "ForceQuery": False, "OmitHost": False}


def _distribution_points(whole: der.Element, fields: dict[str, Any]) -> None:
    for point in _members(whole):
        parts = der.Fields(point.content)
        full = der.Fields(parts.take(0xA0).content).take(0xA0)
        parts.end()
        for name in der.elements(full.content):
            if name.tag == 0x86:
                fields.setdefault("CRLDistributionPoints", []).append(der.text(name))


def _authority_key(whole: der.Element, fields: dict[str, Any]) -> None:
    own = _sequence(whole).maybe(0x80)
    if own is None:
        raise der.unsupported("an authority's key without its identifier")
    fields["AuthorityKeyId"] = base64_text(own.content)


def _subject_key(whole: der.Element, fields: dict[str, Any]) -> None:
    if whole.tag != der.OCTETS:
        raise der.unsupported("a badly written identifier of its key")
    fields["SubjectKeyId"] = base64_text(whole.content)


def _extended_usage(whole: der.Element, fields: dict[str, Any]) -> None:
    for element in _members(whole):
        kind = der.oid(element)
        if kind in _USAGES:
            fields.setdefault("ExtKeyUsage", []).append(_USAGES[kind])
        else:
            fields.setdefault("UnknownExtKeyUsage", []).append(list(kind))


def _policies(whole: der.Element, fields: dict[str, Any]) -> None:
    for policy in _members(whole):
        kind = der.oid(der.Fields(policy.content).take(der.OID))
        fields.setdefault("PolicyIdentifiers", []).append(list(kind))
        fields.setdefault("Policies", []).append(".".join(map(str, kind)))


def _authority_information(whole: der.Element, fields: dict[str, Any]) -> None:
    for description in _members(whole):
        parts = der.Fields(description.content)
        name, place = _SERVICES.get(der.oid(parts.take(der.OID))), parts.maybe(0x86)
        if name is not None and place is not None:
            fields.setdefault(name, []).append(der.text(place))


def _sequence(whole: der.Element) -> der.Fields:
    if whole.tag != der.SEQUENCE:
        raise der.unsupported("a badly written extension")
    return der.Fields(whole.content)


def _members(whole: der.Element) -> list[der.Element]:
    """Give the members of a SEQUENCE OF, of which there has to be one."""
    found = list(der.elements(whole.content))
    if whole.tag != der.SEQUENCE or not found:
        raise der.unsupported("a badly written extension")
    return found


_READERS: Final[dict[tuple[int, ...], Callable[[der.Element, dict[str, Any]], None]]] = {
    (2, 5, 29, 14): _subject_key,
    (2, 5, 29, 15): _key_usage,
    (2, 5, 29, 17): _alternative_names,
    (2, 5, 29, 19): _basic_constraints,
    (2, 5, 29, 31): _distribution_points,
    (2, 5, 29, 32): _policies,
    (2, 5, 29, 35): _authority_key,
    (2, 5, 29, 37): _extended_usage,
    _AUTHORITY_INFORMATION: _authority_information,
}
