"""The kernel of `fingerprint`: a CheckRequest without what differs each time, in one walk over its bytes.

What it writes can be read in one way only, so two messages of which it writes the same differ in nothing else:

    a field that is kept          its tag and its content as they were sent
    a message on the way to one   its tag, its fields, 0 (no tag is 0); its length is left out, as it may differ
    a name or a time              its tag
    a port                        7 (no tag of a field)
    a header that differs         7, which one it is, the tag of its value

Rule: what is not exactly as Envoy writes it is kept, or nothing is said of the message at all.
"""

import numpy as np
from numba import types

from ztag_extauthz.again import UNLIKE_HEADERS
from ztag_extauthz.stores.kernels import Cells, inlined, kernel

ID_BEGIN, ID_END = range(2)
"""Where the kernel tells the place of `http.id` in the message; both 0 where there is none."""
UNLIKE = -1
"""What it returns where nothing is said."""

_NAMES = np.frombuffer("".join(UNLIKE_HEADERS).encode(), np.uint8)
_BOUNDS = np.cumsum([0, *map(len, UNLIKE_HEADERS)])

_CHECK, _ATTRIBUTES, _PEER, _ADDRESS, _SOCKET, _REQUEST, _HTTP, _HEADER_MAP = range(8)
_KEEP, _TIME, _ID, _HEADER, _PORT, _INTO = 0, 1, 2, 3, 4, 5
"""What is done with a field; `_INTO` and more: it is a message of the kind that is left when `_INTO` is taken away."""
_ACTIONS = np.zeros((8, 16), np.int64)
_ACTIONS[_CHECK, 1] = _INTO + _ATTRIBUTES
_ACTIONS[_ATTRIBUTES, 1] = _INTO + _PEER  # the source's; that of the destination is one of few
_ACTIONS[_ATTRIBUTES, 4] = _INTO + _REQUEST
_ACTIONS[_PEER, 1] = _INTO + _ADDRESS
_ACTIONS[_ADDRESS, 1] = _INTO + _SOCKET
_ACTIONS[_SOCKET, 3] = _PORT
_ACTIONS[_REQUEST, 1] = _TIME
_ACTIONS[_REQUEST, 2] = _INTO + _HTTP
_ACTIONS[_HTTP, 1] = _ID
_ACTIONS[_HTTP, 3] = _HEADER
_ACTIONS[_HTTP, 13] = _INTO + _HEADER_MAP
_ACTIONS[_HEADER_MAP, 1] = _HEADER
_DEPTH = 8

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_KEY, _VALUE, _RAW_VALUE = 0x0A, 0x12, 0x1A
_SECONDS, _NANOS = 0x08, 0x10
_LEFT_OUT = 7
"""No tag of a field."""
_MAX_ID, _MAX_PORT = 20, 3
"""Bytes."""


@inlined
def _varint_end(message: bytes, at: int, end: int) -> int:
    """Return where a varint ends; `UNLIKE` where it does not."""
    for place in range(at, min(end, at + 10)):
        if message[place] < 0x80:
            return place + 1
    return UNLIKE


@inlined
def _length(message: bytes, at: int, end: int) -> tuple[int, int]:
    """Return a length and where it ends; `UNLIKE` for what is none, or leads beyond the end."""
    length = 0
    for place in range(at, min(end, at + 4)):
        length |= (message[place] & 0x7F) << (7 * (place - at))
        if message[place] < 0x80:
            return (length, place + 1) if place + 1 + length <= end else (UNLIKE, UNLIKE)
    return UNLIKE, UNLIKE


@inlined
def _content_end(message: bytes, wire: int, at: int, end: int) -> int:
    """Return where a field's content ends; `UNLIKE` for what is no field."""
    stop = UNLIKE
    if wire == _VARINT:
        stop = _varint_end(message, at, end)
    elif wire == _BYTES:
        length, begin = _length(message, at, end)
        stop = begin + length if length >= 0 else UNLIKE
    elif wire == _FIXED64:
        stop = at + 8
    elif wire == _FIXED32:
        stop = at + 4
    return stop if stop <= end else UNLIKE


@inlined
def _is_port(message: bytes, at: int, end: int) -> bool:
    """Tell whether a varint is a port that connections have. 0 is none, as if nothing were said."""
    if end - at > _MAX_PORT:
        return False
    for place in range(at, end):  # noqa: SIM110 - numba has no `any`
        if message[place] & 0x7F:
            return True
    return False


@inlined
def _is_time(message: bytes, at: int, end: int) -> bool:
    """Tell whether a Timestamp is seconds and nanoseconds, and nothing else."""
    for tag in (_SECONDS, _NANOS):
        if at < end and message[at] == tag:
            at = _varint_end(message, at + 1, end)
            if at == UNLIKE:
                return False
    return at == end


@inlined
def _are_between(message: bytes, at: int, end: int, low: int, high: int) -> bool:
    for place in range(at, end):  # noqa: SIM110 - numba has no `all`
        if message[place] < low or message[place] > high:
            return False
    return True


@inlined
def _which(message: bytes, at: int, end: int) -> int:
    """Return which of `UNLIKE_HEADERS` a name is; `UNLIKE` for none."""
    for number in range(_BOUNDS.size - 1):
        first = _BOUNDS[number]
        if _BOUNDS[number + 1] - first == end - at:
            same = True
            for place in range(end - at):
                if message[at + place] != _NAMES[first + place]:
                    same = False
                    break
            if same:
                return number
    return UNLIKE


@inlined
def _header(message: bytes, at: int, end: int, out: np.ndarray, to: int) -> int:
    """Write a header that differs each time, and return where that ends; `UNLIKE` for any other, and any other form.

    A value of visible ASCII and spaces alone: what else stands in one may make a request unreadable.
    """
    if at >= end or message[at] != _KEY:
        return UNLIKE
    length, begin = _length(message, at + 1, end)
    if length < 0:
        return UNLIKE
    number = _which(message, begin, begin + length)
    at = begin + length
    if number < 0 or at >= end or (message[at] != _VALUE and message[at] != _RAW_VALUE):
        return UNLIKE
    length, begin = _length(message, at + 1, end)
    if length <= 0 or begin + length != end or not _are_between(message, begin, end, 0x20, 0x7E):
        return UNLIKE
    out[to], out[to + 1], out[to + 2] = _LEFT_OUT, number, message[at]
    return to + 3


@inlined
def _copy(message: bytes, at: int, end: int, out: np.ndarray, to: int) -> int:
    for place in range(at, end):
        out[to + place - at] = message[place]
    return to + end - at


@inlined
def _field(  # noqa: PLR0913, PLR0917 - a kernel's part
    message: bytes, at: int, begin: int, stop: int, action: int, out: np.ndarray, to: int, places: Cells
) -> int:
    """Write a field that is no message on the way, and return where that ends; `UNLIKE` where nothing is said."""
    if action == _PORT and _is_port(message, begin, stop):
        out[to] = _LEFT_OUT
        return to + 1
    if action in (_KEEP, _PORT):
        return _copy(message, at, stop, out, to)
    length, inner = _length(message, begin, stop)
    if action == _HEADER:
        written = _header(message, inner, stop, out, to)
        return written if written >= 0 else _copy(message, at, stop, out, to)
    out[to] = message[at]
    if action == _TIME:
        return to + 1 if _is_time(message, inner, stop) else UNLIKE
    if length <= 0 or length > _MAX_ID or not _are_between(message, inner, stop, 0x30, 0x39):
        return UNLIKE
    places[ID_BEGIN], places[ID_END] = inner, stop
    return to + 1


@kernel(types.int64(types.Bytes(types.uint8, 1, "C", readonly=True), types.uint8[::1], types.int64[::1]))
def fingerprint(message: bytes, out: np.ndarray, places: Cells) -> int:
    """Write what is always the same of a CheckRequest, and return how many bytes; `UNLIKE` where nothing is said.

    `out` is as long as the message at least; `places` tells where `http.id` stands.
    """
    ends = np.empty(_DEPTH, np.int64)
    kinds = np.empty(_DEPTH, np.int64)
    depth, at, to = 0, 0, 0
    ends[0], kinds[0] = len(message), _CHECK
    places[ID_BEGIN] = places[ID_END] = 0
    while True:
        while at == ends[depth]:
            if depth == 0:
                return to
            depth -= 1
            out[to] = 0
            to += 1
        end, kind, tag = ends[depth], kinds[depth], message[at]
        begin = at + 1 if tag < 0x80 else _varint_end(message, at, end)
        if begin < 0 or tag < 8 or (tag >= 0x80 and message[begin - 1] == 0):
            return UNLIKE
        wire = tag & 7
        stop = _content_end(message, wire, begin, end)
        if stop < 0:
            return UNLIKE
        action = _ACTIONS[kind, tag >> 3] if tag < 0x80 else _KEEP
        if wire != (_VARINT if action == _PORT else _BYTES):
            action = _KEEP
        if action >= _INTO:
            out[to] = tag
            to += 1
            depth += 1
            ends[depth], kinds[depth] = stop, action - _INTO
            at = _length(message, begin, end)[1]
            continue
        to = _field(message, at, begin, stop, action, out, to, places)
        if to < 0:
            return UNLIKE
        at = stop
