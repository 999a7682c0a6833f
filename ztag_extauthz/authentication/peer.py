"""The client at the other end of the connection, also where proxies stand between.

The asking Envoy states its own peer (`source.principal`). If that is a proxy that the settings name, the peer of that
proxy counts, as the proxy forwards it, and so on from the nearest hop outwards. A header of anybody else means nothing.
"""

from base64 import b64decode
from binascii import Error as Base64Error
from hashlib import sha256
from typing import Literal

from msgspec import Struct

from ztag_extauthz.authentication import xfcc
from ztag_extauthz.model import Request
from ztag_extauthz.section import Section
from ztag_extauthz.structured import StructuredFieldError, parse_item, parse_list

MAX_HOPS = 16
Header = Literal["x-forwarded-client-cert", "client-cert"]

_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"


class PeerError(ValueError):
    """What is stated about the client contradicts itself, or cannot be read."""


class ForwardingSettings(Section):
    """Proxies in front of the asking Envoy that tell who their client was."""

    hops: tuple[str, ...] = ()
    """Principals (`spiffe://mesh.example/ns/edge/sa/gateway`) of proxies whose header is believed. They have to remove
    what their clients send (`SANITIZE_SET`, `APPEND_FORWARD`)."""
    header: Header = "x-forwarded-client-cert"
    """The header that they write: Envoy's, or that of RFC 9440."""

    def forwarding(self) -> "Forwarding":
        return Forwarding(frozenset(self.hops), self.header)


class Client(Struct, frozen=True):
    """Who is at the other end."""

    principal: str
    """As stated; "" where only the certificate tells."""
    certificates: tuple[bytes, ...] = ()
    """DER, the client's own first; () where none was told."""
    fingerprint: bytes = b""
    """SHA-256 of the client's certificate; b"" where nothing was told."""
    via: tuple[str, ...] = ()
    """Principals of the proxies between, the nearest first."""


class Forwarding(Struct, frozen=True):
    """Which proxies are believed, and which header of theirs."""

    hops: frozenset[str]
    header: Header

    def client_of(self, request: Request) -> Client | None:
        """Return the client, or None where nobody says who it is. Raises `PeerError` or `XfccError`."""
        source = request.source
        if source.principal not in self.hops:
            certificates = certificates_in(source.certificate)
            known = source.principal or certificates
            return Client(source.principal, certificates, _fingerprint(certificates)) if known else None
        value = request.headers.get(self.header, "")
        if not value:
            return None  # a proxy that names no client does not speak for itself
        if self.header == "client-cert":
            if self.header in request.repeated:
                raise PeerError("the client's certificate was sent more than once")
            return _rfc9440(value, request.headers.get("client-cert-chain", ""), source.principal)
        return self._walk(value, source.principal)

    def _walk(self, header: str, hop: str) -> Client | None:
        """Follow the elements from the nearest hop outwards as long as each was written by one that is believed."""
        elements = [xfcc.fields(element) for element in xfcc.elements(header)]
        if len(elements) > MAX_HOPS:
            raise PeerError("the client's certificate came through too many proxies")
        if elements and elements[-1].get("uri") == (hop,):
            elements.pop()  # the asking Envoy's own (APPEND_FORWARD): what it says stands in source.principal
        via: tuple[str, ...] = ()
        for fields in reversed(elements):
            via = (*via, hop)
            written_by = fields.get("by", ())
            if written_by and hop not in written_by:
                raise PeerError("the client's certificate was forwarded by another proxy than is stated")
            client = _told(fields, via)
            if client.principal not in self.hops:
                return client
            hop = client.principal
        return None


def _told(fields: dict[str, tuple[str, ...]], via: tuple[str, ...]) -> Client:
    principals = fields.get("uri") or fields.get("dns") or fields.get("subject") or ("",)
    hashes, leaf = fields.get("hash", ()), fields.get("cert", ())
    if len(principals) != 1 or len(hashes) > 1 or len(leaf) > 1:
        raise PeerError("the client's certificate is told in two ways")
    certificates = (*certificates_in("".join(leaf)), *certificates_in("".join(fields.get("chain", ()))))
    certificates = tuple(dict.fromkeys(certificates))  # the chain begins with the client's own once more
    fingerprint = _fingerprint(certificates)
    if hashes:
        told = _hexadecimal(hashes[0])
        if fingerprint and fingerprint != told:
            raise PeerError("the client's certificate has not the hash that is told")
        fingerprint = told
    return Client(principals[0], certificates, fingerprint, via)


def _rfc9440(leaf: str, chain: str, hop: str) -> Client:
    try:
        values = [parse_item(leaf), *parse_list(chain)]
    except StructuredFieldError as error:
        raise PeerError("the client's certificate is no byte sequence") from error
    certificates = tuple(value for value, _ in values if isinstance(value, bytes))
    if len(certificates) != len(values):
        raise PeerError("the client's certificate is no byte sequence")
    return Client("", certificates, _fingerprint(certificates), (hop,))


def certificates_in(encoded: str) -> tuple[bytes, ...]:
    """Return the certificates (DER) of a URL-encoded PEM; () of "". Raises `XfccError` or `PeerError`."""
    return of_pem(xfcc.decoded(encoded)) if encoded else ()


def of_pem(pem: bytes) -> tuple[bytes, ...]:
    """Return the certificates (DER) of a PEM. Raises `PeerError`."""
    blocks = pem.split(_BEGIN)[1:]
    found = [block.partition(_END)[0] for block in blocks if _END in block]
    if not found or len(found) != len(blocks):
        raise PeerError("the certificate is no PEM")
    try:
        return tuple(b64decode(b"".join(block.split()), validate=True) for block in found)
    except Base64Error as error:
        raise PeerError("the certificate is no PEM") from error


def _fingerprint(certificates: tuple[bytes, ...]) -> bytes:
    return sha256(certificates[0]).digest() if certificates else b""


def _hexadecimal(text: str) -> bytes:
    try:
        digest = bytes.fromhex(text)
    except ValueError as error:
        raise PeerError("the hash of the client's certificate is not hexadecimal") from error
    if len(digest) != sha256().digest_size or len(text) != 2 * len(digest):
        raise PeerError("the hash of the client's certificate has another length than SHA-256")
    return digest
