r"""Regular expressions that Python's `re` answers with RE2's meaning in linear time, and much faster.

A pattern qualifies if it is read by the small grammar below: literals, simple ASCII classes, `.`, `\d`, `\w`,
groups of words, each with `?`, `*`, `+` or nothing. Two conditions make `re` linear on it:

1. a part that may end at several places is disjoint from all that can follow it, so it never goes back;
2. a pattern that begins anywhere has only parts of fixed length, so each place costs no more than its length.
"""

import re
import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_WORD: Final = frozenset(string.ascii_letters + string.digits + "_")
_DIGIT: Final = frozenset(string.digits)
_ASCII: Final = frozenset(map(chr, range(128)))
_OTHER: Final = "\u0080"  # stands for every character that is not ASCII
_ESCAPES: Final = {"d": _DIGIT, "w": _WORD}
_PUNCTUATION: Final = frozenset(string.punctuation)
_SPECIAL: Final = frozenset("\\.+*?()|[]{}^$")
_MAX_PATTERN: Final = 500


class _Unsuitable(Exception):  # noqa: N818 (it never leaves this file)
    pass


@dataclass(frozen=True, slots=True)
class _Atom:
    source: str
    first: frozenset[str]
    single: bool = True  # one character, so that it may be repeated


@dataclass(frozen=True, slots=True)
class _Part:
    source: str
    first: frozenset[str]
    optional: bool
    repeated: bool

    @property
    def loose(self) -> bool:
        return self.optional or self.repeated


def linear_matcher(pattern: str) -> Callable[[str], bool] | None:
    """Make a function that tells whether a text matches anywhere; None where RE2 has to do it."""
    if len(pattern) > _MAX_PATTERN:
        return None
    try:
        source = _Reader(pattern).translated()
    except _Unsuitable:
        return None
    search = re.compile(source).search
    return lambda text: search(text) is not None


class _Reader:
    def __init__(self, pattern: str) -> None:
        self.anchored = pattern.startswith("^")
        self.ended = pattern.endswith("$") and not pattern.endswith("\\$")
        self.text = pattern[self.anchored : len(pattern) - self.ended]
        self.place = 0

    def translated(self) -> str:
        parts: list[_Part] = []
        while self.place < len(self.text):
            parts.append(self._quantified(self._atom()))
        if not self.anchored and any(part.loose for part in parts):
            raise _Unsuitable
        for place, part in enumerate(parts):
            if part.loose:
                self._require_disjoint(part, parts[place + 1 :])
        body = "".join(part.source for part in parts)
        return ("\\A" if self.anchored else "") + body + ("\\Z" if self.ended else "")

    def _require_disjoint(self, part: _Part, followers: list[_Part]) -> None:
        for follower in followers:
            if part.first & follower.first:
                raise _Unsuitable
            if not follower.optional:
                return

    def _next(self) -> str:
        if self.place >= len(self.text):
            raise _Unsuitable
        self.place += 1
        return self.text[self.place - 1]

    def _quantified(self, atom: _Atom) -> _Part:
        mark = self.text[self.place : self.place + 1]
        if mark not in ("?", "*", "+"):
            if mark == "{":
                raise _Unsuitable
            return _Part(atom.source, atom.first, optional=False, repeated=False)
        self.place += 1
        if self.text[self.place : self.place + 1] in ("?", "*", "+") or (mark != "?" and not atom.single):
            raise _Unsuitable
        return _Part(atom.source + mark, atom.first, optional=mark != "+", repeated=mark != "?")

    def _atom(self) -> _Atom:
        character = self._next()
        if character == "[":
            return self._class()
        if character == "(":
            return self._words()
        if character == ".":
            return _Atom("[^\n]", (_ASCII - {"\n"}) | {_OTHER})
        if character == "\\":
            return self._escape()
        if character in _SPECIAL or character not in _ASCII:
            raise _Unsuitable
        return _Atom(re.escape(character), frozenset(character))

    def _escape(self) -> _Atom:
        character = self._next()
        if character in _ESCAPES:
            return _Atom("[0-9]" if character == "d" else "[0-9A-Za-z_]", _ESCAPES[character])
        if character not in _PUNCTUATION:
            raise _Unsuitable
        return _Atom(re.escape(character), frozenset(character))

    def _class(self) -> _Atom:
        """Read a class of letters, digits, a few marks and ranges between letters or digits."""
        start = self.place
        negated = self.text[start : start + 1] == "^"
        self.place += negated
        members: frozenset[str] = frozenset()
        while (character := self._next()) != "]":
            members |= self._members(character)
        if not members:
            raise _Unsuitable
        return _Atom(_class_source(members, negated=negated), (_ASCII - members) | {_OTHER} if negated else members)

    def _members(self, character: str) -> frozenset[str]:
        if character == "\\":
            return self._escape().first
        following = self.text[self.place : self.place + 2]
        if character.isascii() and character.isalnum() and following[:1] == "-" and following[1:] != "]":
            self.place += 1
            last = self._next()
            if not (last.isascii() and last.isalnum() and character <= last):
                raise _Unsuitable
            return frozenset(map(chr, range(ord(character), ord(last) + 1)))
        if character == "-" and following[:1] != "]":
            raise _Unsuitable
        if not character.isascii() or character in "[&~|^":
            raise _Unsuitable
        return frozenset(character)

    def _words(self) -> _Atom:
        """Read `(one|two)`: plain words that differ in their first letter."""
        if self.text.startswith("?:", self.place):
            self.place += 2
        end = self.text.find(")", self.place)
        words = self.text[self.place : max(end, self.place)].split("|")
        firsts = {word[:1] for word in words}
        if end < 0 or "" in firsts or len(firsts) < len(words) or not all(map(_plain_word, words)):
            raise _Unsuitable
        self.place = end + 1
        return _Atom(f"(?:{'|'.join(map(re.escape, words))})", frozenset(firsts), single=False)


def _class_source(members: frozenset[str], *, negated: bool) -> str:
    """Write a class as ranges, by codes, so that nothing in it has a second meaning."""
    codes = sorted(map(ord, members))
    starts = [code for code in codes if code - 1 not in codes]
    ends = [code for code in codes if code + 1 not in codes]
    ranges = "".join(f"\\x{start:02x}-\\x{end:02x}" for start, end in zip(starts, ends, strict=True))
    return f"[{'^' if negated else ''}{ranges}]"


def _plain_word(word: str) -> bool:
    return word.isascii() and not _SPECIAL & frozenset(word)
