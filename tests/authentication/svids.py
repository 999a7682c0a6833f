"""X.509-SVIDs as a mesh's authority issues them, good and bad."""

import datetime as dt
from typing import Any
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.authentication.parts import NOW

AT = dt.datetime.fromtimestamp(NOW, dt.UTC)
HOUR = dt.timedelta(hours=1)
GOOD_USAGE = frozenset({"digital_signature"})
_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def usage(names: frozenset[str]) -> x509.KeyUsage:
    return x509.KeyUsage(**{name: name in names for name in _USAGES})


class Mesh:
    """The authority of a trust domain."""

    def __init__(self, name: str = "mesh.example") -> None:
        self.name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        public = self._key.public_key()
        self.certificate = (
            self._begin(public, self._subject, self._subject, AT - HOUR, AT + 24 * HOUR)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage(frozenset({"key_cert_sign", "crl_sign"})), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"spiffe://{name}")]), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )

    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self,
        *uris: str,
        ca: bool | None = False,
        usages: frozenset[str] | None = GOOD_USAGE,
        critical: bool = True,
        begins: dt.datetime = AT - HOUR,
        ends: dt.datetime = AT + HOUR,
        others: tuple[x509.GeneralName, ...] = (),
    ) -> bytes:
        """Return a leaf (DER)."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [*(x509.UniformResourceIdentifier(uri) for uri in uris), *others]
        builder = self._begin(key.public_key(), x509.Name([]), self._subject, begins, ends)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
        if ca is not None:
            builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        if usages is not None:
            builder = builder.add_extension(usage(usages), critical=critical)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)

    @staticmethod
    def _begin(
        public: Any, subject: x509.Name, issuer: x509.Name, begins: dt.datetime, ends: dt.datetime
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
        )


def encoded(*certificates: bytes) -> str:
    """Return certificates as Envoy shows them: URL-encoded PEM."""
    pems = (x509.load_der_x509_certificate(one).public_bytes(serialization.Encoding.PEM) for one in certificates)
    return quote(b"".join(pems).decode(), safe="")
