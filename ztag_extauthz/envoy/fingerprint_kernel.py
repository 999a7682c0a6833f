"""The kernel of `fingerprint`: a CheckRequest without what differs each time, in one walk over its bytes, and its hash.

What it writes can be read in one way only, so two messages of which it writes the same differ in nothing else:

    a field that is kept          its tag and its content as they were sent
    a message on the way to one   its tag, its fields, 0 (no tag is 0); its length is left out, as it may differ
    a name, a time                its tag
    a port                        7 (no tag of a field)
    a header that differs         7, the tag of its value, its own tag, its name
    `headers`                     behind the other fields, by the hashes of their names: a map has no order, and Envoy
                                  writes it in another one on each connection. A name that is there twice has one

Rule: what is not exactly as Envoy writes it is kept, or nothing is said of the message at all.
"""

from typing import Any, TypeAlias

import numpy as np
from numba import types

from ztag_extauthz.again import UNLIKE_HEADERS
from ztag_extauthz.stores.kernels import Cells, inlined, kernel
from ztag_extauthz.stores.siphash import PADDING, Words, siphash

Octets: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]

DIGEST, ID_BEGIN, ID_END, FOUND = 0, 2, 3, 4
"""What the kernel finds: a digest of two words, and where `http.id` is in the message; both 0 where there is none."""
UNLIKE = -1
"""For what is not as Envoy writes it: nothing is said of the message."""

_MESSAGE = types.Bytes(types.uint8, 1, "C", readonly=True)
_ROWS = types.int64[:, ::1]
_NAMES = np.frombuffer("".join(UNLIKE_HEADERS).encode(), np.uint8)
_BOUNDS = np.cumsum([0, *map(len, UNLIKE_HEADERS)])

_KINDS = 8
_CHECK, _ATTRIBUTES, _PEER, _ADDRESS, _SOCKET, _REQUEST, _HTTP, _HEADER_MAP = range(_KINDS)
_KEEP, _TIME, _ID, _HEADER, _PORT, _ENTRY, _INTO = 0, 1, 2, 3, 4, 5, 6
"""What is done with a field; `_INTO` and more: it is a message of the kind that is left when `_INTO` is taken away."""
_ACTIONS = np.zeros((_KINDS, 16), np.int64)
_ACTIONS[_CHECK, 1] = _INTO + _ATTRIBUTES
_ACTIONS[_ATTRIBUTES, 1] = _INTO + _PEER  # the source's; that of the destination is one of few
_ACTIONS[_ATTRIBUTES, 4] = _INTO + _REQUEST
_ACTIONS[_PEER, 1] = _INTO + _ADDRESS
_ACTIONS[_ADDRESS, 1] = _INTO + _SOCKET
_ACTIONS[_SOCKET, 3] = _PORT
_ACTIONS[_REQUEST, 1] = _TIME
_ACTIONS[_REQUEST, 2] = _INTO + _HTTP
_ACTIONS[_HTTP, 1] = _ID
_ACTIONS[_HTTP, 3] = _ENTRY
_ACTIONS[_HTTP, 13] = _INTO + _HEADER_MAP
_ACTIONS[_HEADER_MAP, 1] = _HEADER
_DEPTH = _KINDS  # none is within itself

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_KEY, _VALUE, _RAW_VALUE = 0x0A, 0x12, 0x1A
_SECONDS, _NANOS = 0x08, 0x10
_LEFT_OUT = 7
"""No tag of a field."""
_MAX_ID, _MAX_PORT = 20, 3
"""Bytes."""
ENTRIES, COLUMNS = 128, 4
"""Headers that a message may have, and what is noted of each: the hash of its name, where it begins, where that ends
which is kept, and its first byte in what is written."""
_HASH_BITS = (1 << 62) - 1


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
def _is_header(message: bytes, at: int, end: int) -> int:
    """Return where the value of a header that differs each time begins; `UNLIKE` for any other, and any other form.

    A value of visible ASCII and spaces alone: what else stands in one may make a request unreadable.
    """
    if at >= end or message[at] != _KEY:
        return UNLIKE
    length, begin = _length(message, at + 1, end)
    if length < 0 or _which(message, begin, begin + length) < 0:
        return UNLIKE
    value = begin + length
    if value >= end or (message[value] != _VALUE and message[value] != _RAW_VALUE):
        return UNLIKE
    length, begin = _length(message, value + 1, end)
    if length <= 0 or begin + length != end or not _are_between(message, begin, end, 0x20, 0x7E):
        return UNLIKE
    return value


@inlined
def _copy(message: bytes, at: int, end: int, out: Octets, to: int) -> int:
    for place in range(at, end):
        out[to + place - at] = message[place]
    return to + end - at


@inlined
def _left_out(message: bytes, action: int, at: int, end: int, found: Cells) -> bool:
    """Tell whether a time or a name can be left out; note where the name is."""
    if action == _TIME:
        return _is_time(message, at, end)
    found[ID_BEGIN], found[ID_END] = at, end
    return 0 < end - at <= _MAX_ID and _are_between(message, at, end, 0x30, 0x39)


@inlined
def _noted(message: bytes, at: int, end: int, rows: Cells, count: int) -> int:
    """Note an entry of `headers` in its place among the others; return how many there are, or `UNLIKE`."""
    length, name = _length(message, at + 1, end)
    value = name + length
    if at == end or message[at] != _KEY or length < 0 or value >= end or message[value] != _VALUE or count == ENTRIES:
        return UNLIKE
    size, begin = _length(message, value + 1, end)
    if size < 0 or begin + size != end:
        return UNLIKE
    number = 0
    for place in range(name, value):
        number = (number * 1000003 + message[place]) & _HASH_BITS
    row = count
    while row > 0 and rows[row - 1, 0] > number:
        for column in range(COLUMNS):
            rows[row, column] = rows[row - 1, column]
        row -= 1
    if row > 0 and rows[row - 1, 0] == number:
        return UNLIKE
    differs = _is_header(message, at, end) >= 0
    rows[row, 0], rows[row, 1] = number, at
    rows[row, 2], rows[row, 3] = (value, _LEFT_OUT) if differs else (end, _RAW_VALUE)
    return count + 1


@inlined
def _written(message: bytes, rows: Cells, count: int, out: Octets, to: int) -> int:
    """Write the entries of `headers`."""
    for row in range(count):
        out[to] = rows[row, 3]
        to = _copy(message, rows[row, 1], rows[row, 2], out, to + 1)
    return to


@inlined
def _field(message: bytes, at: int, end: int, kind: int) -> tuple[int, int, int]:
    """Return what is done with a field, where its content begins and where that ends; `UNLIKE` for what is none."""
    tag = message[at]
    begin = at + 1 if tag < 0x80 else _varint_end(message, at, end)
    if begin < 0 or tag < 8 or (tag >= 0x80 and message[begin - 1] == 0):
        return _KEEP, UNLIKE, UNLIKE
    wire, action = tag & 7, _ACTIONS[kind, tag >> 3] if tag < 0x80 else _KEEP
    stop = _content_end(message, wire, begin, end)
    if stop < 0 or wire != (_VARINT if action == _PORT else _BYTES):
        return _KEEP, begin, stop
    inner = begin if action == _PORT else _length(message, begin, end)[1]
    is_other = action == _HEADER and _is_header(message, inner, stop) < 0
    is_none = action == _PORT and not _is_port(message, inner, stop)
    return _KEEP if is_other or is_none else action, inner, stop


@inlined
def _marked(  # noqa: PLR0913, PLR0917 - as the kernel
    message: bytes, action: int, at: int, inner: int, stop: int, out: Octets, to: int
) -> int:
    """Write what stands for a field whose content is left out, or written otherwise."""
    if action == _HEADER:
        value = _is_header(message, inner, stop)
        out[to], out[to + 1], out[to + 2] = _LEFT_OUT, message[value], message[at]
        return _copy(message, inner, value, out, to + 3)
    out[to] = _LEFT_OUT if action == _PORT else message[at]
    return to + 1


@inlined
def _walk(message: bytes, out: Octets, rows: Cells, found: Cells) -> int:
    """Write what is always the same; return its length."""
    ends, kinds = np.empty(_DEPTH, np.int64), np.empty(_DEPTH, np.int64)
    ends[0], kinds[0] = len(message), _CHECK
    depth, at, to, entries = 0, 0, 0, 0
    kept = 0  # what is kept is copied as late as can be, in one piece from here on
    while True:
        while at == ends[depth]:
            to, kept = _copy(message, kept, at, out, to), at
            if depth == 0:
                return to
            if kinds[depth] == _HTTP:
                to, entries = _written(message, rows, entries, out, to), 0
            out[to] = 0
            depth, to = depth - 1, to + 1
        action, inner, stop = _field(message, at, ends[depth], kinds[depth])
        if stop < 0 or (action in (_TIME, _ID) and not _left_out(message, action, inner, stop, found)):
            return UNLIKE
        if action == _KEEP:
            at = stop
            continue
        to = _copy(message, kept, at, out, to)
        if action == _ENTRY:
            entries = _noted(message, inner, stop, rows, entries)
        else:
            to = _marked(message, action, at, inner, stop, out, to)
        if entries < 0:
            return UNLIKE
        if action >= _INTO:
            depth += 1
            ends[depth], kinds[depth], stop = stop, action - _INTO, inner
        at = kept = stop


@kernel(types.boolean(_MESSAGE, types.uint8[::1], types.uint64[::1], types.uint64[::1], _ROWS, types.int64[::1]))
def fingerprint(message: bytes, out: Octets, words: Words, key: Words, rows: Cells, found: Cells) -> bool:  # noqa: PLR0913, PLR0917
    """Find a message's digest and where it names the request; False where nothing is said of it.

    `out` has room for the message and `PADDING`, `words` is the same memory; `key` is two words; `rows` has `ENTRIES`
    of `COLUMNS`.
    """
    found[ID_BEGIN] = found[ID_END] = 0
    size = _walk(message, out, rows, found)
    if size < 0:
        return False
    out[size : size + PADDING] = 0
    found[DIGEST], found[DIGEST + 1] = siphash(words, size, key[0], key[1])
    return True
