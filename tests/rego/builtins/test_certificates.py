"""What is refused, and hostile bytes; the answers themselves are in `vectors/certificates.jsonl`."""

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ztag_extauthz.rego.builtins.catalogue import REGISTRY
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
