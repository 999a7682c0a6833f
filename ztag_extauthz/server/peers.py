"""Who may ask: the SPIFFE id or DNS name of the caller's certificate against a list.

TLS has verified the certificate by then; here it is only read. A name counts as what the certificate says it is: an
authority that lets workloads choose their DNS names has not let them choose SPIFFE ids. Source: SPIFFE X.509-SVID 2 and
5.2 (one URI, no more), RFC 5280 4.2.1.6.
"""

from collections.abc import Iterable
from typing import TypeAlias

from ztag_extauthz.server.core import RpcError, Status

Name: TypeAlias = tuple[str, str]
"""`uri` or `dns`, and the name."""

_REMEMBERED = 4096
"""Certificates at most whose verdict is remembered; above it, all are forgotten and read again."""


class Peers:
    """Decides once for each certificate. Without a list everybody may ask whom TLS let in."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = frozenset(_uri(name) if "://" in name else _dns(name) for name in allowed)
        self._verdicts: dict[str, bool] = {}

    @property
    def everybody(self) -> bool:
        return not self._allowed

    def admit(self, certificate: str | None) -> None:
        """Return if the caller with this certificate (PEM) may ask. Raises `RpcError` PERMISSION_DENIED."""
        if self.everybody:
            return
        # The whole certificate is the key: a digest would cost more than the comparison.
        verdict = self._verdicts.get(certificate) if certificate else False
        if verdict is None:
            verdict = self._decide(certificate or "")
        if not verdict:
            raise RpcError(Status.PERMISSION_DENIED, "the client certificate is not on the list of allowed clients")

    def _decide(self, certificate: str) -> bool:
        if len(self._verdicts) >= _REMEMBERED:
            self._verdicts.clear()
        verdict = not self._allowed.isdisjoint(names_of(certificate))
        self._verdicts[certificate] = verdict
        return verdict


def names_of(certificate: str) -> frozenset[Name]:
    """Return the names of a certificate in PEM: the URI if it is the only one, and the DNS names.

    None where it cannot be read.
    """
    from cryptography import x509  # noqa: PLC0415 - heavy, and only mTLS needs it

    try:
        leaf = x509.load_pem_x509_certificate(certificate.encode())
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        return frozenset()
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    domains = names.get_values_for_type(x509.DNSName)
    return frozenset([*map(_dns, domains), *(map(_uri, uris) if len(uris) == 1 else ())])


def _uri(name: str) -> Name:
    return "uri", name


def _dns(name: str) -> Name:
    """DNS names compare without regard to case (RFC 4343)."""
    return "dns", name.lower()
