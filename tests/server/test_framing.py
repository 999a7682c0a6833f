import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ztag_extauthz.server.core import RpcError, Status
from ztag_extauthz.server.framing import allowance, frame, is_grpc, length_of, seconds_of, status_headers, unpack


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [
        (b"1H", 3600.0),
        (b"2M", 120.0),
        (b"3S", 3.0),
        (b"200m", 0.2),
        (b"5u", 5e-6),
        (b"7n", 7e-9),
        (b"99999999S", 99999999.0),
        (b"", None),
        (b"S", None),
        (b"1", None),
        (b"1s", None),
        (b"1.5S", None),
        (b"-1S", None),
        (b" 1S", None),
        (b"123456789S", None),
        (b"\xd9\xa1S", None),
    ],
)
def test_seconds_of(timeout: bytes, seconds: float | None) -> None:
    assert seconds_of(timeout) == (seconds if seconds is None else pytest.approx(seconds))


@given(st.binary(max_size=12))
def test_seconds_of_anything(timeout: bytes) -> None:
    seconds = seconds_of(timeout)
    assert seconds is None or seconds >= 0


@given(st.floats(0, 1e8))
def test_the_allowance_is_never_more_than_the_caller_gave(seconds: float) -> None:
    assert seconds * 0.9 - 1e-9 <= allowance(seconds) <= seconds
    assert seconds - allowance(seconds) <= 0.0101


def test_is_grpc() -> None:
    assert is_grpc(b"application/grpc")
    assert is_grpc(b"Application/gRPC+proto")
    assert not is_grpc(b"application/grpc-web+proto")
    assert not is_grpc(b"application/grpcx")
    assert not is_grpc(None)


@given(st.binary(max_size=2000), st.sampled_from([None, b"gzip", b"deflate"]))
def test_what_was_packed_is_unpacked(message: bytes, encoding: bytes | None) -> None:
    packed = {None: lambda data: data, b"gzip": gzip.compress, b"deflate": zlib.compress}[encoding](message)
    framed = frame(packed)
    assert length_of(framed[:5], 4096) == len(packed)
    assert unpack(int(encoding is not None), framed[5:], encoding, 2000) == message


@given(st.integers(0, 255), st.binary(max_size=200), st.sampled_from([None, b"", b"gzip", b"deflate", b"br"]))
def test_unpacking_anything_gives_a_message_or_a_status(flag: int, payload: bytes, encoding: bytes | None) -> None:
    assert _status(flag, payload, encoding) in (0, Status.INTERNAL, Status.UNIMPLEMENTED, Status.RESOURCE_EXHAUSTED)


def _status(flag: int, payload: bytes, encoding: bytes | None) -> int:
    try:
        return max(0, len(unpack(flag, payload, encoding, 4096)) - 4096)
    except RpcError as error:
        return error.status


def test_a_cut_off_gzip_is_no_message() -> None:
    with pytest.raises(RpcError, match="cut off"):
        unpack(1, gzip.compress(b"one" * 100)[:-4], b"gzip", 4096)


@given(st.text())
def test_a_status_message_is_always_a_header_value(text: str) -> None:
    headers = dict(status_headers(RpcError(Status.INTERNAL, text.encode("utf-8", "replace").decode())))
    assert headers[b"grpc-status"] == b"13"
    assert all(0x20 <= byte < 0x7F for byte in headers[b"grpc-message"])
