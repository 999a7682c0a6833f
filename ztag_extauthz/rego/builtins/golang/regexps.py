"""Go's `regexp` on RE2, which has its syntax, its meaning and its linear time.

Texts are searched as bytes, encoded once: positions are then the same to both sides.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final

import re2  # type: ignore[import-untyped, unused-ignore]

from ztag_extauthz.rego.errors import EvaluationError, LimitError
from ztag_extauthz.rego.pace import spend

# RE2 knows a class for any byte, Go does not.
_ANY_BYTE: Final = re.compile(r"(?<!\\)(?:\\\\)*\\C")
_MAX_MEMORY: Final = 64 << 20
# Some patterns of more instructions than fit into this take seconds to compile.
_SMALL_MEMORY: Final = 1 << 20
# Characters times instructions of the pattern: what RE2 may have to do at worst, and cannot be stopped in.
_MAX_WORK: Final = 1_000_000_000

Match = tuple[tuple[int, int], ...]


def _options(memory: int, *, captures: bool) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = memory
    options.never_capture = not captures
    return options


class RegexError(ValueError):
    """The pattern is no regular expression to Go."""


@lru_cache(maxsize=1024)
def compiled(pattern: str, *, captures: bool = False) -> Any:
    """Give RE2's expression; that of groups is asked for only where they are, since it costs many times as much."""
    if _ANY_BYTE.search(pattern):
        raise RegexError("invalid escape sequence: `\\C`")
    try:
        re2.compile(pattern, _options(_SMALL_MEMORY, captures=captures))
        made = re2.compile(pattern, _options(_MAX_MEMORY, captures=captures))
    except re2.error as error:
        reason = error.args[0] if error.args else "cannot be compiled"
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        if "too large" in text and "repetition" not in text:
            raise LimitError("the regular expression is too large") from None
        raise RegexError(f"error parsing regexp: {text}") from None
    spend(made.programsize)
    return made


def bounded(regex: Any, data: bytes) -> bytes:
    """Give the text, unless searching it once could take long."""
    # Each step takes along the places of all groups.
    if regex.programsize * len(data) * (1 + regex.groups // 8) > _MAX_WORK:
        raise LimitError("the text is too long for such a large regular expression")
    return data


def refuse_inner_boundary(pattern: str, data: bytes) -> None:
    r"""Refuse `\B` in a text that is not ASCII: RE2 finds it between the bytes of one character, Go does not."""
    if "\\B" in pattern and not data.isascii():
        raise EvaluationError("eval_unsupported_error", "\\\\B in a regular expression is for ASCII texts only")


def find_all(regex: Any, data: bytes, limit: int = -1) -> Iterator[Match]:
    """Give the matches that Go gives: no empty one right behind another one.

    A match is the places of the whole and of each group, (-1, -1) for a group that took no part.
    """
    place, previous = 0, -1
    while place <= len(data) and limit != 0:
        found = regex.search(data, place)
        if found is None:
            return
        start, end = found.span()
        empty = end == place
        if not (empty and start == previous):
            limit -= 1
            yield tuple(found.span(group) for group in range(regex.groups + 1))
        place = _next_rune(data, end) if empty else end
        previous = end


def _next_rune(data: bytes, place: int) -> int:
    place += 1
    while place < len(data) and data[place] & 0xC0 == 0x80:
        place += 1
    return place


def split(regex: Any, pattern: str, data: bytes, check: Callable[[], None]) -> list[bytes]:
    if pattern and not data:
        return [b""]
    pieces, begin, end = [], 0, 0
    for match in find_all(regex, data):
        check()
        end = match[0][0]
        if match[0][1]:
            pieces.append(data[begin:end])
        begin = match[0][1]
    if end != len(data):
        pieces.append(data[begin:])
    return pieces


def template(text: str, regex: Any) -> list[bytes | int]:
    """Read a replacement, `$1` and `${name}` in it: texts and numbers of groups."""
    parts: list[bytes | int] = []
    place = 0
    while (dollar := text.find("$", place)) >= 0:
        parts.append(text[place:dollar].encode("utf-8", "surrogateescape"))
        place = dollar + 1
        if text[place : place + 1] == "$":
            parts.append(b"$")
            place += 1
            continue
        name, after = _name(text, place)
        if not name:
            parts.append(b"$")
            continue
        place = after
        group = _group(name, regex)
        if group is not None:
            parts.append(group)
    parts.append(text[place:].encode("utf-8", "surrogateescape"))
    return parts


def _name(text: str, place: int) -> tuple[str, int]:
    brace = text[place : place + 1] == "{"
    start = end = place + brace
    while end < len(text) and (text[end].isalpha() or text[end].isdecimal() or text[end] == "_"):
        end += 1
    if brace and text[end : end + 1] != "}":
        return "", place
    return text[start:end], end + brace


def _group(name: str, regex: Any) -> int | None:
    """Find a group by its number or name; a number with a zero in front is a name."""
    if name.isascii() and name.isdigit() and len(name) < 9 and (name == "0" or name[0] != "0"):
        number = int(name)
        return number if number <= regex.groups else None
    found = regex.groupindex.get(name)
    return None if found is None else int(found)


def expand(parts: list[bytes | int], data: bytes, match: Match) -> bytes:
    return b"".join(
        part if isinstance(part, bytes) else data[slice(*match[part])] if match[part][0] >= 0 else b"" for part in parts
    )


def quote_meta(text: str) -> str:
    return "".join(f"\\{character}" if character in "\\.+*?()|[]{}^$" else character for character in text)
