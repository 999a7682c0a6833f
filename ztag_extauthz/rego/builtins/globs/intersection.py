"""Whether two globs have a text in common, as OPA's glob-intersection library sees it.

Its globs are made of characters, `.`, sets `[a-z]`, and the flags `+` and `*` behind one of them; a backslash escapes.
Its answer is not always the true one (`a*b*` and `a` have `a` in common, and it says no): its steps are followed, not
the question. They are remembered, so that they take the square of the lengths where its own can double at each flag.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ztag_extauthz.rego.builtins.interface import check_size
from ztag_extauthz.rego.errors import BuiltinError
from ztag_extauthz.rego.pace import spend

_FLAGS: Final = "+*"


@dataclass(frozen=True, slots=True)
class Token:
    characters: frozenset[str] | None  # None stands for any
    single: bool  # a character that stands alone; equal tokens are of one kind
    flag: str = ""

    def alike(self, other: "Token") -> bool:
        return self.characters == other.characters and self.single == other.single

    def meets(self, other: "Token") -> bool:
        if self.characters is None or other.characters is None:
            return True
        spend(min(len(self.characters), len(other.characters)))
        return not self.characters.isdisjoint(other.characters)


def intersects(left: str, right: str) -> bool:
    """Tell whether some text matches both globs; a `BuiltinError` says that one of them is none."""
    trimmed = _trimmed(_tokens(left), _tokens(right))
    return trimmed is not None and _Walk(trimmed[0]).plain(trimmed[0], 0, trimmed[1], 0)


Glob = tuple[Token, ...]


# -- reading


def _tokens(text: str) -> Glob:
    signs = list(_signs(text))
    tokens: list[Token] = []
    place = 0
    while place < len(signs):
        spend(1)
        token, place = _token(signs, place)
        flag = signs[place][0] if place < len(signs) and signs[place] in _FLAG_SIGNS else ""
        place += bool(flag)
        last = tokens[-1] if tokens else None
        if last is not None and flag and last.flag and token.alike(last):
            flag = "+" if "+" in flag + last.flag else "*"
            tokens.pop()
        tokens.append(Token(token.characters, token.single, flag))
    return tuple(tokens)


Sign = tuple[str, bool]  # a character, and whether it is escaped
_FLAG_SIGNS: Final = frozenset((flag, False) for flag in _FLAGS)


def _signs(text: str) -> Iterator[Sign]:
    characters = iter(text)
    for character in characters:
        if character != "\\":
            yield character, False
            continue
        following = next(characters, None)
        if following is None:
            raise BuiltinError("input ends with a \\ (escape) character")
        yield following, True


def _token(signs: list[Sign], place: int) -> tuple[Token, int]:
    character, escaped = signs[place]
    if escaped:
        return Token(frozenset(character), single=True), place + 1
    if character == ".":
        return Token(None, single=False), place + 1
    if character == "[":
        return _set(signs, place + 1)
    if character == "]":
        raise BuiltinError("set-close ']' with no preceding '['")
    if character in _FLAGS:
        raise BuiltinError(f"flag '{character}' must be preceded by a non-flag")
    return Token(frozenset(character), single=True), place + 1


def _set(signs: list[Sign], place: int) -> tuple[Token, int]:
    characters: set[str] = set()
    before = ""
    while place < len(signs):
        sign = signs[place]
        place += 1
        if sign == ("]", False):
            return Token(frozenset(characters), single=False), place
        if sign == ("-", False):
            characters.update(_range(before, signs, place))
            check_size(len(characters))
            before, place = "", place + 1
        else:
            before = sign[0]
            characters.add(before)
    raise BuiltinError("found [ without matching ]")


def _range(first: str, signs: list[Sign], place: int) -> Iterator[str]:
    if not first:
        raise BuiltinError("range character '-' must be preceded by a Unicode character")
    if place == len(signs):
        raise BuiltinError("range character '-' must be followed by a Unicode character")
    last, escaped = signs[place]
    if not escaped and last in "]-":
        raise BuiltinError("range character '-' cannot be followed by a special symbol")
    if last < first:
        raise BuiltinError("range is out of order")
    return map(chr, range(ord(first), ord(last) + 1))


# -- comparing


def _trimmed(left: Glob, right: Glob) -> tuple[Glob, Glob] | None:
    """Take away what has no flag at both ends, all but the last token of it; None where that does not match."""
    begin = 0
    while begin < min(len(left), len(right)) and not (left[begin].flag or right[begin].flag):
        if not left[begin].meets(right[begin]):
            return None
        begin += 1
    begin -= begin > 0
    end = 0
    while end < min(len(left), len(right)) - begin and not (left[-1 - end].flag or right[-1 - end].flag):
        if not left[-1 - end].meets(right[-1 - end]):
            return None
        end += 1
    end -= end > 0
    return left[begin : len(left) - end], right[begin : len(right) - end]


class _Walk:
    """The library's steps; a place in a glob stands for the rest of it."""

    def __init__(self, left: Glob) -> None:
        self._left = left
        self._known: dict[tuple[bool, int, int], bool] = {}

    def plain(self, left: Glob, i: int, right: Glob, j: int) -> bool:
        while i < len(left) and j < len(right):
            if left[i].flag:
                return self._flagged(left, i, right, j)
            if right[j].flag:
                return self._flagged(right, j, left, i)
            if not left[i].meets(right[j]):
                return False
            i, j = i + 1, j + 1
        return i == len(left) and j == len(right)

    def _flagged(self, flagged: Glob, i: int, other: Glob, j: int) -> bool:
        if flagged[i].flag == "*":
            return self._any(flagged, i, other, j)
        if not flagged[i].meets(other[j]):
            return False
        if self._any(flagged, i, other, j + 1):
            return True
        return bool(other[j].flag) and self.plain(flagged, i + 1, other, j)

    def _any(self, flagged: Glob, i: int, other: Glob, j: int) -> bool:
        state = (flagged is self._left, i, j)
        if state not in self._known:
            self._known[state] = self._passes(flagged, i, other, j)
        return self._known[state]

    def _passes(self, flagged: Glob, i: int, other: Glob, j: int) -> bool:
        following = flagged[i + 1] if i + 1 < len(flagged) else None
        for place in range(j, len(other)):
            token = other[place]
            if following is not None and token.meets(following) and self.plain(flagged, i + 1, other, place):
                return True
            if not token.meets(flagged[i]):
                return False
        return following is None
