"""X.509-SVIDs (SPIFFE X509-SVID 4 and 5) and the bundles that verify them."""

import datetime as dt
import json
from base64 import b64decode
from collections.abc import Iterable, Mapping
from pathlib import Path

from cryptography import x509
from cryptography.x509 import verification
from cryptography.x509.oid import ExtensionOID
from msgspec import Struct

from ztag_extauthz.authentication import spiffe
from ztag_extauthz.authentication.peer import of_pem
from ztag_extauthz.authentication.spiffe import SpiffeId


class SvidError(ValueError):
    """The certificate is no X.509-SVID, or not one that its trust domain vouches for."""


class Svid(Struct, frozen=True):
    """What a leaf certificate says."""

    id: SpiffeId
    begins_at: float
    """Unix seconds."""
    expires_at: float
    """Unix seconds."""


def read(certificate: bytes) -> Svid:
    """Return what a leaf (DER) says. Raises `SvidError`."""
    try:
        leaf = x509.load_der_x509_certificate(certificate)
        extensions = {extension.oid: extension for extension in leaf.extensions}
    except ValueError as error:
        raise SvidError("the certificate cannot be read") from error
    names = extensions.get(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    uris = names.value.get_values_for_type(x509.UniformResourceIdentifier) if names else []
    if len(uris) != 1:
        raise SvidError("the certificate does not have exactly one URI")
    _check_leaf(extensions)
    try:
        identity = spiffe.parse(uris[0])
    except spiffe.SpiffeIdError as error:
        raise SvidError(str(error)) from error
    if not identity.path:
        raise SvidError("the certificate is of a trust domain, not of a workload")
    return Svid(identity, leaf.not_valid_before_utc.timestamp(), leaf.not_valid_after_utc.timestamp())


def _check_leaf(extensions: Mapping[x509.ObjectIdentifier, x509.Extension[x509.ExtensionType]]) -> None:
    constraints = extensions.get(ExtensionOID.BASIC_CONSTRAINTS)
    if constraints and constraints.value.ca:  # type: ignore[attr-defined]
        raise SvidError("the certificate is of an authority, not of a workload")
    usage = extensions.get(ExtensionOID.KEY_USAGE)
    if usage is None or not usage.critical or not usage.value.digital_signature:  # type: ignore[attr-defined]
        raise SvidError("the certificate's key usage is missing, not critical or not digitalSignature")
    if usage.value.key_cert_sign or usage.value.crl_sign:  # type: ignore[attr-defined]
        raise SvidError("the certificate's key may sign certificates or revocation lists")


class Bundles:
    """The authorities of each trust domain; a domain's certificates are verified by its own only."""

    revision = 0
    """Another one where they have changed."""

    def __init__(self, authorities: Mapping[str, Iterable[bytes]]) -> None:
        """Take each trust domain's authorities (DER). Raises `ValueError` where one is no certificate."""
        self._stores = {
            domain: verification.Store([x509.load_der_x509_certificate(one) for one in certificates])
            for domain, certificates in authorities.items()
        }

    def check(self, svid: Svid, certificates: tuple[bytes, ...], now: float) -> None:
        """Verify a chain, the leaf first. `now` in Unix seconds. Raises `SvidError`."""
        store = self._stores.get(svid.id.trust_domain)
        if store is None:
            raise SvidError("there is no bundle of the certificate's trust domain")
        leaf, *others = map(x509.load_der_x509_certificate, certificates)
        builder = verification.PolicyBuilder().store(store).time(dt.datetime.fromtimestamp(now, dt.UTC))
        policy = verification.ExtensionPolicy
        builder = builder.extension_policies(ee_policy=policy.permit_all(), ca_policy=policy.webpki_defaults_ca())
        try:
            builder.build_client_verifier().verify(leaf, others)
        except verification.VerificationError as error:
            raise SvidError("the certificate is not one that its trust domain vouches for") from error


def authorities_in(path: Path) -> tuple[bytes, ...]:
    """Return the authorities (DER) of a file: PEM, or a SPIFFE bundle (JSON). Raises `OSError` or `ValueError`."""
    content = path.read_bytes()
    if not content.lstrip().startswith(b"{"):
        return of_pem(content)
    keys = [key for key in json.loads(content).get("keys", ()) if key.get("use") == "x509-svid"]
    found = tuple(b64decode(key["x5c"][0], validate=True) for key in keys if len(key.get("x5c", ())) == 1)
    if not found or len(found) != len(keys):
        raise ValueError("has no x509-svid keys, or one without exactly one certificate")
    return found
