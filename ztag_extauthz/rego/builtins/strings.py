"""Text: searching, cutting, replacing. Lengths and positions count characters.

A text that is no UTF-8 (OPA can make one by `base64.decode`) holds Python's surrogate escapes.
"""

from typing import Final

from ztag_extauthz.rego.builtins.golang.text import lower_runes, to_bytes, to_text, upper_runes
from ztag_extauthz.rego.builtins.interface import (
    builtin,
    check_size,
    element_error,
    integer,
    number,
    obj,
    string,
    type_error,
)  # fmt: skip
from ztag_extauthz.rego.builtins.numbers import MAX_BITS, to_float
from ztag_extauthz.rego.errors import BuiltinError, OperandError
from ztag_extauthz.rego.pace import spend, spend_text
from ztag_extauthz.rego.values import Value, members, unkey

# What Go calls space; Python's `strip` would take the separators U+001C to U+001F as well.
_SPACE: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_RADIX: Final = {2: "b", 8: "o", 10: "d", 16: "x"}
_NO_LIMIT: Final = -1
_FEW: Final = 64
"""Characters that are looked through as quickly as a set is asked."""


@builtin("startswith")
def startswith(text: Value, prefix: Value) -> Value:
    return string(text, 1).startswith(string(prefix, 2))


@builtin("endswith")
def endswith(text: Value, suffix: Value) -> Value:
    return string(text, 1).endswith(string(suffix, 2))


@builtin("contains")
def contains(text: Value, part: Value) -> Value:
    return string(part, 2) in string(text, 1)


@builtin("strings.count")
def count(text: Value, part: Value) -> Value:
    return string(text, 1).count(string(part, 2))


@builtin("indexof")
def indexof(text: Value, part: Value) -> Value:
    return string(text, 1).find(_searched(part))


def _searched(part: Value) -> str:
    if not string(part, 2):
        raise BuiltinError("empty search character")
    return part  # type: ignore[no-any-return]


@builtin("indexof_n")
def indexof_n(text: Value, part: Value) -> Value:
    text, part = string(text, 1), _searched(part)
    places: list[Value] = []
    place = text.find(part)
    while place >= 0:
        places.append(place)
        place = text.find(part, place + 1)
    return places


@builtin("substring")
def substring(text: Value, start: Value, length: Value) -> Value:
    text, first, size = string(text, 1), integer(start, 2), integer(length, 3)
    if first < 0:
        raise BuiltinError("negative offset")
    return text[first:] if size < 0 else text[first : first + size]


@builtin("lower")
def lower(text: Value) -> Value:
    return lower_runes(string(text, 1))


@builtin("upper")
def upper(text: Value) -> Value:
    return upper_runes(string(text, 1))


@builtin("split")
def split(text: Value, separator: Value) -> Value:
    return _split(string(text, 1), string(separator, 2))


def _split(text: str, separator: str, limit: int = _NO_LIMIT) -> list[Value]:
    """Split as Go does: by nothing means into characters. `limit` counts the pieces, -1 is none."""
    if limit == 0:
        return []
    if separator:
        return list(text.split(separator, max(limit - 1, -1)))
    if limit < 0 or limit >= len(text):
        return list(text)
    return [*text[: limit - 1], text[limit - 1 :]]


@builtin("strings.split_n")
def split_n(text: Value, separator: Value, length: Value) -> Value:
    """Give the first pieces, or from a negative count the last ones."""
    text, separator, size = string(text, 1), string(separator, 2), integer(length, 3)
    if size < 0:
        return _split(text, separator)[size:]
    return _split(text, separator, size + 1)[:size]


@builtin("concat")
def concat(separator: Value, pieces: Value) -> Value:
    separator = string(separator, 1)
    if pieces.__class__ is list:
        items = pieces
    elif pieces.__class__ is frozenset:
        items = members(pieces)
    else:
        raise type_error(2, pieces, "set", "array")
    for item in items:
        if item.__class__ is not str:
            raise element_error(2, pieces, item, "string")
    check_size(sum(map(len, items)) + len(separator) * len(items))
    return separator.join(items)


@builtin("replace")
def replace(text: Value, old: Value, new: Value) -> Value:
    text, old, new = string(text, 1), string(old, 2), string(new, 3)
    spend_text(len(text))
    if not old:
        return _between_bytes(text, new)
    if len(new) > len(old):
        check_size(len(text) + text.count(old) * (len(new) - len(old)))
    return text.replace(old, new)


def _between_bytes(text: str, new: str) -> str:
    """Put a text around every byte: Go's replacer does not know characters here."""
    data = to_bytes(text)
    check_size((len(data) + 1) * (len(new) + 1))
    return to_text(data.replace(b"", to_bytes(new)))


@builtin("strings.replace_n")
def replace_n(patterns: Value, text: Value) -> Value:
    patterns, text = obj(patterns, 1), string(text, 2)
    for old, new in patterns.items():
        if old.__class__ is not str:
            raise OperandError("operand 1 non-string key found in pattern object")
        if new.__class__ is not str:
            raise OperandError("operand 1 non-string value found in pattern object")
    return to_text(_replaced(to_bytes(text), {to_bytes(old): to_bytes(patterns[old]) for old in sorted(patterns)}))


def _replaced(data: bytes, patterns: dict[bytes, bytes]) -> bytes:
    """Replace from left to right, at each place by the first pattern that fits; what was put in stays."""
    heads: dict[int, list[bytes]] = {}
    for old in patterns:
        if old:
            heads.setdefault(old[0], []).append(old)
    between = patterns.get(b"")
    parts, size, place, was_empty = [], 0, 0, False
    while place <= len(data):
        if between is not None and not was_empty:
            old, was_empty = b"", True
        else:
            was_empty = False
            fitting = heads.get(data[place], ()) if place < len(data) else ()
            spend(len(fitting))
            found = next((candidate for candidate in fitting if data.startswith(candidate, place)), None)
            if found is None:
                parts.append(data[place : place + 1])
                place += 1
                continue
            old = found
        parts.append(patterns[old])
        size += len(parts[-1])
        check_size(size)
        place += len(old)
    return b"".join(parts)


@builtin("trim")
def trim(text: Value, characters: Value) -> Value:
    return _trimmed(string(text, 1), string(characters, 2))


@builtin("trim_left")
def trim_left(text: Value, characters: Value) -> Value:
    return _trimmed(string(text, 1), string(characters, 2), right=False)


@builtin("trim_right")
def trim_right(text: Value, characters: Value) -> Value:
    return _trimmed(string(text, 1), string(characters, 2), left=False)


def _trimmed(text: str, characters: str, *, left: bool = True, right: bool = True) -> str:
    """Cut some characters off the ends; Python's own `strip` looks through them all for each one of the text."""
    if len(characters) <= _FEW:
        text = text.lstrip(characters) if left else text
        return text.rstrip(characters) if right else text
    known, begin, end = frozenset(characters), 0, len(text)
    while left and begin < end and text[begin] in known:
        begin += 1
    while right and begin < end and text[end - 1] in known:
        end -= 1
    return text[begin:end]


@builtin("trim_prefix")
def trim_prefix(text: Value, prefix: Value) -> Value:
    return string(text, 1).removeprefix(string(prefix, 2))


@builtin("trim_suffix")
def trim_suffix(text: Value, suffix: Value) -> Value:
    return string(text, 1).removesuffix(string(suffix, 2))


@builtin("trim_space")
def trim_space(text: Value) -> Value:
    return string(text, 1).strip(_SPACE)


@builtin("strings.reverse")
def reverse(text: Value) -> Value:
    return string(text, 1)[::-1]


@builtin("format_int")
def format_int(value: Value, base: Value) -> Value:
    """Print an integer, or what is before the point of another number, in base 2, 8, 10 or 16."""
    value, base = number(value, 1), number(base, 2)
    if base.__class__ is not int or base not in _RADIX:
        raise OperandError("operand 2 must be one of {2, 8, 10, 16}")
    whole = value if value.__class__ is int else to_float(value).truncate()
    check_size(whole.bit_length(), MAX_BITS)
    return format(whole, _RADIX[base])


def _texts(value: Value, position: int) -> tuple[str, ...]:
    if value.__class__ is str:
        return (value,)
    if value.__class__ not in (list, frozenset):
        raise type_error(position, value, "string", "set", "array")
    for form in value:
        if form.__class__ is not str:
            raise element_error(position, value, unkey(form), "string")
    return tuple(value)


@builtin("strings.any_prefix_match")
def any_prefix_match(texts: Value, prefixes: Value) -> Value:
    texts, prefixes = _texts(texts, 1), _texts(prefixes, 2)
    return any(text.startswith(prefixes) for text in texts)


@builtin("strings.any_suffix_match")
def any_suffix_match(texts: Value, suffixes: Value) -> Value:
    texts, suffixes = _texts(texts, 1), _texts(suffixes, 2)
    return any(text.endswith(suffixes) for text in texts)
