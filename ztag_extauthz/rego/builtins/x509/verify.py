"""Chains of certificates, built and judged as Go's `x509.Certificate.Verify` does.

Names that an authority is bound to, and constraints of policies, are refused where certificates are read
(`extensions.py`), so what is left is: whose name, whose key, at what time, how long, and what for.
"""

import base64
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from ztag_extauthz.rego.builtins.net import parse_address
from ztag_extauthz.rego.values import Value

Certificate = dict[str, Value]
Chain = list[Certificate]

ANY_USAGE: Final = 0
SERVER_AUTH: Final = 1
_MAY_SIGN: Final = 1 << 5
_MAX_CHECKS: Final = 100
_HASHES: Final = {
    4: hashes.SHA256(), 5: hashes.SHA384(), 6: hashes.SHA512(),
    10: hashes.SHA256(), 11: hashes.SHA384(), 12: hashes.SHA512(), 16: None,
}  # fmt: skip
"""The hash of each signature algorithm, by Go's numbers. SHA-1 is not among them."""
_ALTERNATIVE_NAMES: Final = [2, 5, 29, 17]


class Wanted(NamedTuple):
    """What a chain has to hold for."""

    now_ns: int
    host: str = ""
    usages: tuple[int, ...] = (SERVER_AUTH,)


def verify(certificates: Chain, wanted: Wanted, check: Callable[[], None]) -> Chain | None:
    """Give the first chain from the last certificate to the first one by way of others; None if there is none."""
    root, *between, leaf = certificates
    if not _is_valid(leaf, [], wanted) or (wanted.host and not _is_for(leaf, wanted.host)):
        return None
    if leaf["Raw"] == root["Raw"]:
        chains = iter([[leaf]])
    else:
        distinct = {certificate["Raw"]: certificate for certificate in between}
        chains = _Search(root, list(distinct.values()), wanted, check).chains([leaf])
    return next((chain for chain in chains if _is_for_usage(chain, wanted.usages)), None)


class _Search:
    """Looks for authorities, the root first, and counts signatures: Go gives up after a hundred."""

    def __init__(self, root: Certificate, between: Chain, wanted: Wanted, check: Callable[[], None]) -> None:
        self._root, self._between = root, between
        self._wanted, self._check = wanted, check
        self._checks = 0

    def chains(self, chain: Chain) -> Iterator[Chain]:
        for authority in _candidates(chain[-1], [self._root]):
            if self._may_follow(authority, chain):
                yield [*chain, authority]
        for authority in _candidates(chain[-1], self._between):
            if self._may_follow(authority, chain) and authority["BasicConstraintsValid"] and authority["IsCA"]:
                yield from self.chains([*chain, authority])

    def _may_follow(self, authority: Certificate, chain: Chain) -> bool:
        self._check()
        self._checks += 1
        return (
            self._checks <= _MAX_CHECKS
            and not _is_among(authority, chain)
            and _has_signed(authority, chain[-1])
            and _is_valid(authority, chain, self._wanted)
        )


def _candidates(certificate: Certificate, pool: Chain) -> Chain:
    """Give those of the issuer's name, the likeliest first: by the identifiers of keys."""
    named = [candidate for candidate in pool if candidate["RawSubject"] == certificate["RawIssuer"]]
    wanted = certificate["AuthorityKeyId"] or ""

    def unlikeliness(candidate: Certificate) -> int:
        own = candidate["SubjectKeyId"] or ""
        return 0 if own == wanted else 1 if not own or not wanted else 2

    return sorted(named, key=unlikeliness)


def _is_valid(certificate: Certificate, chain: Chain, wanted: Wanted) -> bool:
    if certificate["UnhandledCriticalExtensions"]:
        return False
    if not _nanoseconds(certificate["NotBefore"]) <= wanted.now_ns <= _nanoseconds(certificate["NotAfter"]):
        return False
    longest = certificate["MaxPathLen"] if certificate["BasicConstraintsValid"] else -1
    return longest < 0 or len(chain) - 1 <= longest


def _nanoseconds(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp()) * 1_000_000_000


def _is_among(candidate: Certificate, chain: Chain) -> bool:
    """Tell whether a chain has one of this name, key and alternative names: cross-signatures make no loops."""
    names = _alternative_names(candidate)
    for certificate in chain:
        if any(certificate[part] != candidate[part] for part in ("RawSubject", "RawSubjectPublicKeyInfo")):
            continue
        others = _alternative_names(certificate)
        if names == others:
            return True
        if names is None or others is None:
            return False
    return False


def _alternative_names(certificate: Certificate) -> str | None:
    for extension in certificate["Extensions"] or ():
        if extension["Id"] == _ALTERNATIVE_NAMES:
            return extension["Value"]  # type: ignore[no-any-return]
    return None


def _has_signed(authority: Certificate, certificate: Certificate) -> bool:
    limited = authority["BasicConstraintsValid"]
    if not authority["IsCA"] if limited else authority["Version"] == 3:
        return False
    if authority["KeyUsage"] and not authority["KeyUsage"] & _MAY_SIGN:
        return False
    key = load_der_public_key(base64.b64decode(authority["RawSubjectPublicKeyInfo"]))
    parts = (base64.b64decode(certificate[part]) for part in ("Signature", "RawTBSCertificate"))
    try:
        return _verifies(key, certificate["SignatureAlgorithm"], *parts)
    except InvalidSignature:
        return False


def _verifies(key: Any, algorithm: int, signature: bytes, signed: bytes) -> bool:
    """Tell whether algorithm and key belong together; raises `InvalidSignature` if they do and it does not hold."""
    if algorithm not in _HASHES:
        return False
    digest = _HASHES[algorithm]
    if isinstance(key, rsa.RSAPublicKey) and digest is not None and algorithm < 7:
        key.verify(signature, signed, padding.PKCS1v15(), digest)
    elif isinstance(key, ec.EllipticCurvePublicKey) and digest is not None and algorithm > 6:
        key.verify(signature, signed, ec.ECDSA(digest))
    elif isinstance(key, ed25519.Ed25519PublicKey) and digest is None:
        key.verify(signature, signed)
    else:
        return False
    return True


def _is_for_usage(chain: Chain, usages: tuple[int, ...]) -> bool:
    """Tell whether one of the usages is allowed by every certificate that names any."""
    if ANY_USAGE in usages:
        return True
    left = set(usages)
    for certificate in reversed(chain):
        named = certificate["ExtKeyUsage"] or []
        if (named or certificate["UnknownExtKeyUsage"]) and ANY_USAGE not in named:
            left &= set(named)
            if not left:
                return False
    return True


# -- names of hosts


def _is_for(certificate: Certificate, host: str) -> bool:
    in_brackets = len(host) >= 3 and host[0] == "[" and host[-1] == "]"
    address = parse_address(host[1:-1] if in_brackets else host)
    if address is not None:
        return address in map(parse_address, certificate["IPAddresses"] or ())
    host = _lowered(host)
    return any(_matches(_lowered(pattern), host) for pattern in certificate["DNSNames"] or ())


def _lowered(text: str) -> str:
    return "".join(character.lower() if character.isascii() else character for character in text)


def _matches(pattern: str, host: str) -> bool:
    if not (_is_name(host.removesuffix(".")) and _is_name(pattern, is_pattern=True)):
        return pattern == host and host not in ("", ".")
    wanted, given = pattern.split("."), host.removesuffix(".").split(".")
    return len(wanted) == len(given) and wanted[wanted[0] == "*" :] == given[wanted[0] == "*" :]


def _is_name(host: str, *, is_pattern: bool = False) -> bool:
    labels = host.split(".")
    if is_pattern and len(labels) > 1 and labels[0] == "*":
        labels = labels[1:]
    return all(
        label
        and not label.startswith("-")
        and all(sign.isascii() and (sign.isalnum() or sign in "-_") for sign in label)
        for label in labels
    )
