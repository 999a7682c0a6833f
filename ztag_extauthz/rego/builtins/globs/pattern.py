r"""A glob as a list of parts.

| pattern        | part                                                              |
|----------------|-------------------------------------------------------------------|
| `*`            | `Star(crosses=False)`: any characters but separators              |
| `**`           | `Star(crosses=True)`: any characters                              |
| `?`            | `One`: a character that is no separator                           |
| `[ab]` `[!a-z]`| `Class`: a character, which may be a separator                    |
| `{a*,b}`       | `Either`: one of the alternatives                                 |
| `\c` and others| `str`: a literal; `}`, `]` and, outside of braces, `,` are literals |

The reading below follows the library's lexer also where that is odd: `\` is a plain character where a range
begins (`[\-a]`), a `]` may begin a range, and a class is either a range or a set, never both.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias


class GlobError(ValueError):
    """The pattern is no glob."""


@dataclass(frozen=True, slots=True)
class Star:
    crosses: bool


@dataclass(frozen=True, slots=True)
class One:
    pass


@dataclass(frozen=True, slots=True)
class Class:
    negated: bool
    ranges: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Either:
    alternatives: tuple[tuple["Part", ...], ...]


Part: TypeAlias = str | Star | One | Class | Either

MAX_DEPTH: Final = 50


def parse(pattern: str) -> tuple[Part, ...]:
    """Read a pattern; a `GlobError` says what is wrong with it."""
    reader = _Reader(pattern)
    parts = reader.sequence(0)
    if reader.place < len(pattern):
        raise GlobError("unexpected `}`")
    return parts


class _Reader:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.place = 0

    def _peek(self) -> str:
        return self.pattern[self.place : self.place + 1]

    def _read(self) -> str:
        character = self._peek()
        self.place += len(character)
        return character

    def sequence(self, depth: int) -> tuple[Part, ...]:
        """Read up to the end, or within braces up to the `,` or `}` that ends an alternative."""
        parts: list[Part] = []
        while (character := self._peek()) and not (depth and character in ",}"):
            self._part(parts, depth)
        return tuple(parts)

    def _part(self, parts: list[Part], depth: int) -> None:
        character = self._peek()
        if character == "*":
            self._star(parts)
        elif character == "?":
            self.place += 1
            parts.append(One())
        elif character == "[":
            self.place += 1
            parts.append(self._class())
        elif character == "{":
            self.place += 1
            parts.append(self._either(depth + 1))
        else:
            parts.append(self._text("?*[{}," if depth else "?*[{"))

    def _star(self, parts: list[Part]) -> None:
        self.place += 1
        crosses = self._peek() == "*"
        self.place += crosses
        last = parts[-1] if parts else None
        if isinstance(last, Star):  # stars in a row: the widest of them
            parts.pop()
            crosses = crosses or last.crosses
        parts.append(Star(crosses))

    def _either(self, depth: int) -> Either:
        if depth > MAX_DEPTH:
            raise GlobError("braces are nested too deeply")
        alternatives = [self.sequence(depth)]
        while (character := self._read()) == ",":
            alternatives.append(self.sequence(depth))
        if not character:
            raise GlobError("unclosed `{`")
        return Either(tuple(alternatives))

    def _text(self, breakers: str) -> str:
        characters: list[str] = []
        while (character := self._peek()) and character not in breakers:
            self.place += 1
            if character == "\\":
                character = self._read()
                if not character:
                    raise GlobError("trailing backslash")
            characters.append(character)
        return "".join(characters)

    def _class(self) -> Class:
        negated = self._peek() == "!"
        self.place += negated
        first = self._read()
        if not first:
            raise GlobError("unexpected end of input")
        if self._peek() == "-":
            ranges = self._range(first)
        else:
            self.place -= 1
            ranges = tuple((character, character) for character in self._text("]"))
            if not ranges:
                raise GlobError("could not parse range")
        if not self._peek():
            raise GlobError("unexpected end of input")
        if self._read() != "]":
            raise GlobError("expected close range character")
        return Class(negated, ranges)

    def _range(self, low: str) -> tuple[tuple[str, str], ...]:
        self.place += 1
        high = self._read()
        if not high:
            raise GlobError("unexpected end of input")
        if high < low:
            raise GlobError("range hi character is less than lo")
        return ((low, high),)
