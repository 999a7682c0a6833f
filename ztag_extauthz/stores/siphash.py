"""SipHash-2-4 of 128 bits (Aumasson and Bernstein 2012): a keyed hash made for texts that attackers choose."""

from typing import Any, TypeAlias

import numpy as np

from ztag_extauthz.stores.kernels import inlined

Words: TypeAlias = np.ndarray[Any, np.dtype[np.uint64]]
_State: TypeAlias = tuple[np.uint64, np.uint64, np.uint64, np.uint64]

PADDING = 8
"""Zero bytes that have to follow a text."""
_BEGIN = tuple(map(np.uint64, (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)))
_LONG, _MIDDLE, _END = np.uint64(0xEE), np.uint64(0xEE), np.uint64(0xDD)


@inlined
def _rotated(word: np.uint64, bits: int) -> np.uint64:
    return (word << np.uint64(bits)) | (word >> np.uint64(64 - bits))


@inlined
def _round(state: _State) -> _State:
    a, b, c, d = state
    a, c = a + b, c + d
    b, d = _rotated(b, 13) ^ a, _rotated(d, 16) ^ c
    a = _rotated(a, 32)
    c, a = c + b, a + d
    b, d = _rotated(b, 17) ^ c, _rotated(d, 21) ^ a
    return a, b, _rotated(c, 32), d


@inlined
def _mixed(state: _State, word: np.uint64) -> _State:
    a, b, c, d = state
    a, b, c, d = _round(_round((a, b, c, d ^ word)))
    return a ^ word, b, c, d


@inlined
def _finished(state: _State) -> tuple[_State, np.uint64]:
    for _ in range(4):
        state = _round(state)
    return state, state[0] ^ state[1] ^ state[2] ^ state[3]


@inlined
def siphash(words: Words, size: int, one: np.uint64, other: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Return the hash of `size` bytes under a key of two words, all little-endian."""
    state = (_BEGIN[0] ^ one, _BEGIN[1] ^ other ^ _LONG, _BEGIN[2] ^ one, _BEGIN[3] ^ other)
    for place in range(size >> 3):
        state = _mixed(state, words[place])
    a, b, c, d = _mixed(state, words[size >> 3] | (np.uint64(size & 0xFF) << np.uint64(56)))
    state, low = _finished((a, b, c ^ _MIDDLE, d))
    a, b, c, d = state
    return low, _finished((a, b ^ _END, c, d))[1]
