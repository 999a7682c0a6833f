"""Inputs that are almost right: what is known to be good, changed in a few places."""

# ruff: noqa: S311 (these dice need not be secret)

import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

LARGEST: Final = 1 << 16
"""Bytes of an input; what is larger, the engines refuse before anybody reads it."""
_WORDS: Final = (
    *b'\0 \r\n \n \t \x7f \xff \xc0\xae \xed\xa0\x80 \xf0\x9f\x92\xa9 % %00 %2f %2e%2e/ %252e .. // /./ ; , = "'.split(
        b" "
    ),
    *b"\\ \\\" \\u0000 \\ud800 { } [ ] {} [] null true false NaN Infinity -0 1e999 0x10 ' $ & * ! | > # -- : @ ~".split(
        b" "
    ),
    *(b" ", b"?", b"+", b"admin", b"orders", b"Bearer", b"none"),
    *(b"[" * 200, b'{"a":' * 200, b"(" * 200, b"a" * 5000),
)
_NUMBERS: Final = (b"0", b"-1", b"1", b"255", b"65536", b"2147483648", b"4294967296", b"9223372036854775808", b"1e400")
_NUMBER: Final = re.compile(rb"[0-9]+")


class Mutator:
    """Changes one input after the other; the same seed makes the same inputs."""

    def __init__(self, corpus: Sequence[bytes], words: Sequence[bytes], seed: int) -> None:
        self._random = Random(seed)
        self._corpus = corpus
        self._words = (*_WORDS, *words)
        self._ways: Sequence[Callable[[bytearray], None]] = (
            self._flip,
            self._set,
            self._cut,
            self._end,
            self._double,
            self._insert,
            self._insert,
            self._splice,
            self._number,
        )

    def next(self) -> bytes:
        """Return the next input."""
        dice = self._random
        changed = bytearray(dice.choice(self._corpus))
        for _ in range(1 + int(dice.random() ** 2 * 5)):
            self._ways[int(dice.random() * len(self._ways))](changed)
        return bytes(changed[:LARGEST])

    def _at(self, text: bytearray) -> int:
        return int(self._random.random() * (len(text) + 1))

    def _part(self, text: bytearray, most: int = 64) -> slice:
        at = self._at(text)
        return slice(at, at + int(self._random.random() ** 2 * most) + 1)

    def _flip(self, text: bytearray) -> None:
        if text:
            text[int(self._random.random() * len(text))] ^= 1 << int(self._random.random() * 8)

    def _set(self, text: bytearray) -> None:
        if text:
            text[int(self._random.random() * len(text))] = int(self._random.random() * 256)

    def _cut(self, text: bytearray) -> None:
        del text[self._part(text)]

    def _end(self, text: bytearray) -> None:
        del text[self._at(text) :]

    def _double(self, text: bytearray) -> None:
        part = self._part(text)
        times = 1 if self._random.random() < 0.95 else 1000
        text[part.start : part.start] = bytes(text[part]) * times

    def _insert(self, text: bytearray) -> None:
        at = self._at(text)
        text[at:at] = self._random.choice(self._words)

    def _splice(self, text: bytearray) -> None:
        other = bytearray(self._random.choice(self._corpus))
        text[self._part(text)] = other[self._part(other, 512)]

    def _number(self, text: bytearray) -> None:
        found = list(_NUMBER.finditer(text[:4096]))
        if found:
            place = self._random.choice(found)
            text[place.start() : place.end()] = self._random.choice(_NUMBERS)
