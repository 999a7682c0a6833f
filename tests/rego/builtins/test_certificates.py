"""What is refused, and hostile bytes; the answers themselves are in `vectors/certificates.jsonl`."""

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from ztag_extauthz.rego.builtins.catalogue import REGISTRY
from ztag_extauthz.rego.builtins.interface import Context
from ztag_extauthz.rego.builtins.x509 import der
from ztag_extauthz.rego.documents import loads
from ztag_extauthz.rego.errors import BuiltinError, EvaluationError
from ztag_extauthz.rego.values import Value

_NAMES = ("crypto.x509.parse_certificates", "crypto.x509.parse_certificate_request", "crypto.parse_private_keys")
_VECTORS = Path(__file__).with_name("vectors") / "certificates.jsonl"
_ROWS = [loads(line) for line in _VECTORS.read_text().splitlines()]
_CERTIFICATE = next(row[2][0]["Raw"] for row in _ROWS if row[0] == _NAMES[0] and len(row) == 3 and row[2])


def _call(name: str, text: str) -> Value:
    return REGISTRY[name].function(text)


@given(st.binary(max_size=60))
def test_arbitrary_bytes_fail_as_expected(data: bytes) -> None:
    for name in _NAMES:
        try:
            _call(name, base64.b64encode(data).decode())
        except (BuiltinError, EvaluationError):
            continue


@given(st.integers(0, len(base64.b64decode(_CERTIFICATE)) - 1), st.integers(0, 255))
def test_a_certificate_with_one_byte_changed_is_read_or_fails(place: int, byte: int) -> None:
    data = bytearray(base64.b64decode(_CERTIFICATE))
    data[place] = byte
    try:
        assert len(_call(_NAMES[0], base64.b64encode(data).decode())) == 1
    except (BuiltinError, EvaluationError):
        return


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN CERTIFICATE-----\nKey: value\n\nMAA=\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nMA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nMAA=",
    ],
)
def test_unusual_pem_ends_the_evaluation(text: str) -> None:
    with pytest.raises(EvaluationError, match="unusual PEM"):
        _call(_NAMES[0], text)


@pytest.mark.parametrize("data", [b"\x30\x80\x00\x00", b"\x30\x81\x01\x00", b"\x3f\x01\x00", b"\x30\x85" + b"\1" * 9])
def test_der_is_read_strictly(data: bytes) -> None:
    with pytest.raises(BuiltinError):
        der.read(data)


_CHAIN = next(row for row in _ROWS if row[0].endswith("_with_options") and len(row) == 3 and row[2][0])
_VERIFY = "crypto.x509.parse_and_verify_certificates"


@pytest.mark.parametrize("text", [_CHAIN[1][0], "MA==", "*"])
def test_a_chain_is_verified_at_the_time_of_the_evaluation(text: str) -> None:
    now = _CHAIN[1][1]["CurrentTime"]
    usages = {"KeyUsages": ["KeyUsageServerAuth"]}
    later, plain, wanted = (
        4_000_000_000 * 10**9,
        REGISTRY[_VERIFY].function,
        REGISTRY[f"{_VERIFY}_with_options"].function,
    )
    assert plain(Context(now_ns=now), text)[0] == wanted(Context(now_ns=now), text, usages)[0]
    assert plain(Context(now_ns=later), text) == [False, []]


def test_what_depends_on_the_time_is_not_remembered() -> None:
    assert not REGISTRY[_VERIFY].pure
    assert not REGISTRY[f"{_VERIFY}_with_options"].pure


def _signed(subject: str, key: ed25519.Ed25519PrivateKey, issuer: str, by: ed25519.Ed25519PrivateKey) -> str:
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in (subject, issuer)]
    builder = x509.CertificateBuilder(
        names[1], names[0], key.public_key(), 1, datetime(2026, 1, 1, tzinfo=UTC), datetime(2046, 1, 1, tzinfo=UTC)
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(by, None).public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize(("others", "valid"), [(99, True), (100, False)])
def test_a_hundred_candidates_are_looked_at(others: int, valid: bool) -> None:  # noqa: FBT001
    """Of authorities of one name the last has signed: Go looks at a hundred."""
    root, authority, leaf, *strange = [ed25519.Ed25519PrivateKey.generate() for _ in range(others + 2)]
    text = _signed("root", root, "root", root)
    text += "".join(_signed("a", key, "root", root) for key in [*strange, authority])
    text += _signed("leaf", leaf, "a", authority)
    assert REGISTRY[_VERIFY].function(Context(now_ns=1_800_000_000 * 10**9), text)[0] is valid
