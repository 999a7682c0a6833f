"""gRPC's own layer over HTTP/2: length-prefixed messages, the deadline, the status line.

Source: gRPC over HTTP2 (PROTOCOL-HTTP2.md), gRPC compression (compression.md).
"""

import zlib
from functools import lru_cache
from urllib.parse import quote

from ztag_extauthz.server.core import RpcError, Status

PREFIX = 5
"""Bytes before a message: one that says whether it is compressed, four of its length."""

ENCODINGS = "identity, deflate, gzip"
# zlib's window bits: with 16 added it expects gzip's header instead of its own.
_WINDOW_BITS = {b"gzip": 16 + zlib.MAX_WBITS, b"deflate": zlib.MAX_WBITS}
_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}


def frame(message: bytes) -> bytes:
    """Return a message with its prefix, uncompressed."""
    return b"\0" + len(message).to_bytes(4) + message


@lru_cache(maxsize=1024)
def seconds_of(timeout: bytes) -> float | None:
    """Return the seconds that a `grpc-timeout` allows, or None if it is not of the form `<1 to 8 digits><unit>`."""
    digits, unit = timeout[:-1], _UNITS.get(timeout[-1:])
    if unit is None or not digits.isdigit() or len(digits) > 8:
        return None
    return int(digits) * unit


def allowance(seconds: float) -> float:
    """Return the seconds that we take of a caller's deadline: a tenth less, 10 ms at most.

    The caller's clock started before ours. An answer at the last moment would cross the caller's RST_STREAM on the
    wire, and an engine that sees many resets must take them for an attack and closes the connection (CVE-2023-44487).
    """
    return seconds - min(seconds * 0.1, 0.010)


def is_grpc(content_type: bytes | None) -> bool:
    """Say whether a content type is gRPC's: `application/grpc`, with a subtype or parameters or without."""
    if content_type == b"application/grpc":
        return True
    return content_type is not None and content_type.lower().startswith((b"application/grpc+", b"application/grpc;"))


def length_of(prefix: bytes | bytearray, limit: int) -> int:
    """Return how long the message behind a prefix is. Raises `RpcError` above `limit`."""
    length = int.from_bytes(prefix[1:PREFIX])
    if length > limit:
        raise RpcError(Status.RESOURCE_EXHAUSTED, f"message of {length} bytes, {limit} are allowed")
    return length


def unpack(flag: int, payload: bytes, encoding: bytes | None, limit: int) -> bytes:
    """Return the message in a frame's payload, unpacked where its flag says so.

    Raises `RpcError`: INTERNAL for what is no frame, UNIMPLEMENTED for an encoding that we do not know,
    RESOURCE_EXHAUSTED where the unpacked message is longer than `limit` bytes.
    """
    if flag == 0:
        return payload
    if flag != 1:
        raise RpcError(Status.INTERNAL, "a frame's first byte is neither 0 nor 1")
    if encoding is None or encoding == b"identity":
        raise RpcError(Status.INTERNAL, "a compressed message without grpc-encoding")
    window_bits = _WINDOW_BITS.get(encoding)
    if window_bits is None:
        raise RpcError(Status.UNIMPLEMENTED, f"this grpc-encoding is not supported; known are {ENCODINGS}")
    return _inflate(payload, window_bits, limit)


def _inflate(payload: bytes, window_bits: int, limit: int) -> bytes:
    inflater = zlib.decompressobj(window_bits)
    try:
        message = inflater.decompress(payload, limit + 1)
    except zlib.error as error:
        raise RpcError(Status.INTERNAL, "the compressed message cannot be unpacked") from error
    if len(message) > limit:
        raise RpcError(Status.RESOURCE_EXHAUSTED, f"unpacked message above the {limit} bytes that are allowed")
    if not inflater.eof:
        raise RpcError(Status.INTERNAL, "the compressed message is cut off")
    return message


def status_headers(error: RpcError) -> list[tuple[bytes, bytes]]:
    """Return the trailers that end a call with an error."""
    message = quote(error.message, safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~")
    return [(b"grpc-status", b"%d" % error.status), (b"grpc-message", message.encode())]
