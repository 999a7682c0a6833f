"""A glob as a function of a text, linear in its length whatever the pattern is.

The shapes that policies are made of are answered by `str`'s own methods or by `re`; the others by RE2.
`re` goes back and forth, so it gets only patterns in which at most one star can end at more than one place:
a star that stops at separators, with a separator or the end behind it, can end at one place only.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final

import re2  # type: ignore[import-untyped, unused-ignore]

from ztag_extauthz.rego.builtins.globs.pattern import Class, Either, One, Part, Star, parse
from ztag_extauthz.rego.builtins.golang.text import readable
from ztag_extauthz.rego.errors import LimitError

Matcher = Callable[[str], bool]

MAX_LENGTH: Final = 10_000
_MAX_WORK: Final = 100_000_000
"""Characters times instructions of the pattern: what RE2 may have to do at worst, and cannot be stopped in."""
_RE2_OPTIONS: Final = re2.Options()
_RE2_OPTIONS.log_errors = False
_RE2_OPTIONS.never_capture = True
_RE2_OPTIONS.dot_nl = True


def compile_glob(pattern: str, separators: Sequence[str]) -> Matcher:
    """Make the function that tells whether a text matches; a `GlobError` says what is wrong with a pattern."""
    parts = parse(pattern)
    return _plain(parts) or _python(parts, separators) or _re2(parts, separators)


def _plain(parts: tuple[Part, ...]) -> Matcher | None:
    """Answer literals, `**` before or behind a literal, and `**` alone."""
    match parts:
        case ():
            return "".__eq__
        case (str(text),):
            return text.__eq__
        case (Star(True),):
            return lambda _: True
        case (str(head), Star(True)):
            return lambda text: text.startswith(head)
        case (Star(True), str(tail)):
            return lambda text: text.endswith(tail)
    return None


def _one_way(parts: tuple[Part, ...], place: int, separators: Sequence[str]) -> bool:
    """Tell whether the star at a place can end at one place only."""
    if place + 1 == len(parts):
        return True
    follower, star = parts[place + 1], parts[place]
    return isinstance(star, Star) and not star.crosses and isinstance(follower, str) and follower[0] in separators


def _python(parts: tuple[Part, ...], separators: Sequence[str]) -> Matcher | None:
    stars = [place for place, part in enumerate(parts) if isinstance(part, Star)]
    loose = [place for place in stars if not _one_way(parts, place, separators)]
    if any(isinstance(part, Either) for part in parts) or len(loose) > 1 or (loose and loose[0] != stars[-1]):
        # Behind a star that tries every place there may only be parts of fixed length.
        return None
    pieces = [
        _piece(part, separators) + ("+" if isinstance(part, Star) and place not in loose else "")
        for place, part in enumerate(parts)
    ]
    fullmatch = re.compile("".join(pieces), re.DOTALL).fullmatch
    return lambda text: fullmatch(readable(text)) is not None


def _re2(parts: tuple[Part, ...], separators: Sequence[str]) -> Matcher:
    compiled = re2.compile(_sequence(parts, separators), _RE2_OPTIONS)

    def matches(text: str) -> bool:
        if compiled.programsize * len(text) > _MAX_WORK:
            raise LimitError("the text is too long for such a large glob")
        return compiled.fullmatch(readable(text)) is not None

    return matches


def _sequence(parts: tuple[Part, ...], separators: Sequence[str]) -> str:
    return "".join(_piece(part, separators) for part in parts)


def _piece(part: Part, separators: Sequence[str]) -> str:
    """Write a part as a regular expression, the same to `re` and RE2."""
    if isinstance(part, str):
        return "".join(map(_literal, part))
    if isinstance(part, Star):
        return ".*" if part.crosses else _but(separators) + "*"
    if isinstance(part, One):
        return _but(separators)
    if isinstance(part, Either):
        return "(?:" + "|".join(_sequence(alternative, separators) for alternative in part.alternatives) + ")"
    return _class(part)


def _but(separators: Sequence[str]) -> str:
    return f"[^{''.join(map(_literal, separators))}]" if separators else "."


def _class(part: Class) -> str:
    ranges = "".join(f"{_literal(low)}-{_literal(high)}" for low, high in part.ranges)
    return f"[{'^' if part.negated else ''}{ranges}]"


def _literal(character: str) -> str:
    """Write a character so that neither dialect sees anything else in it."""
    if character.isalnum() and character.isascii():
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return character
