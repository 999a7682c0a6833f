"""JSON text and Python objects to Rego values and back, without loss."""

import json
import math
import re
from contextlib import suppress
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any, Final

from ztag_extauthz.rego.errors import LimitError
from ztag_extauthz.rego.pace import spend, spend_text
from ztag_extauthz.rego.values import Number, Value, key, ordered_forms, unkey

_PLAIN_INTEGER: Final = re.compile(r"-?[1-9][0-9]*|0")
_LONGEST_INTEGER: Final = 4000
MAX_DEPTH: Final = 100
"""Levels of a document from outside: what is made of it and compared with it stays within Python's recursion limit."""
MAX_DIGITS: Final = 1000
"""Digits and exponent of a number from outside: what is calculated with it stays within the limits of arithmetic."""
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
# Python's stand-ins for bytes that are no UTF-8; Go writes U+FFFD for them.
_NO_CHARACTER: Final = re.compile(r"[\ud800-\udfff]")
_HTML: Final = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def parse_number(text: str) -> int | Number:
    """Give the number that a text in JSON's grammar stands for; it keeps the text where `int` would not."""
    return _parse_integer(text) if _PLAIN_INTEGER.fullmatch(text) else Number(text)


def _parse_integer(text: str) -> int | Number:
    """Python bounds the digits of an `int`, for its conversion takes quadratic time; a `Number` reads any."""
    return Number(text) if text == "-0" or len(text) > _LONGEST_INTEGER else int(text)


def _refuse_constant(text: str) -> Value:
    raise ValueError(f"{text} is not JSON")


def _read_integer(text: str) -> int | Number:
    if len(text) > MAX_DIGITS:
        raise ValueError("a number has too many digits")
    return _parse_integer(text)


def _read_number(text: str) -> Number:
    number = Number(text)
    if len(text) > MAX_DIGITS or abs(number.adjusted()) > MAX_DIGITS:
        raise ValueError("a number has too many digits")
    return number


def _object(pairs: list[tuple[str, Value]]) -> dict[str, Value]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member occurs twice")
    return members


_BOUNDED: Final = json.JSONDecoder(parse_float=_read_number, parse_int=_read_integer, parse_constant=_refuse_constant)
_UNIQUE: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_read_number, parse_int=_read_integer, parse_constant=_refuse_constant
)
_ANY: Final = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_refuse_constant)


def loads(text: str | bytes, *, unique: bool = False) -> Value:
    """Read a JSON document, of at most `MAX_DEPTH` levels; a `ValueError` says what is wrong with it.

    OPA takes the last of several members with one name; `unique` refuses them.
    """
    if isinstance(text, bytes):
        text = text.decode()
    try:
        value = (_UNIQUE if unique else _BOUNDED).decode(text)
        if text.count("[") + text.count("{") > MAX_DEPTH:
            _refuse_depth(value)
        return _replace_surrogates(value) if _SURROGATE.search(text) else value
    except RecursionError:
        raise ValueError("the document is nested too deeply") from None
    except ArithmeticError:
        raise ValueError("a number is outside the range that can be held") from None


def is_json(text: str) -> bool:
    """Tell whether a text is a JSON document, with numbers of any size."""
    try:
        _ANY.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse_depth(value: Value) -> None:
    """Go down level by level, not branch by branch, so that the depth costs no stack."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            member
            for parent in level
            if parent.__class__ in (list, dict)
            for member in (parent.values() if isinstance(parent, dict) else parent)
            if member.__class__ in (list, dict)
        ]
        if not level:
            return
    raise ValueError("the document is nested too deeply")


def _replace_surrogates(value: Value) -> Value:
    """Put U+FFFD for halves of surrogate pairs, as Go's decoder does: they are no characters."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_replace_surrogates(member) for member in value]
    if isinstance(value, dict):
        return {_replace_surrogates(name): _replace_surrogates(member) for name, member in value.items()}
    return value


def dumps(value: Value, *, escape_html: bool = True, most: int | None = None) -> str:
    """Write a value as Go's encoder does: keys in order, sets as arrays, numbers as they were written.

    A `LimitError` ends what becomes longer than `most` characters.
    """
    parts: list[str] = [] if most is None else _Bounded(most)
    try:
        _write(value, parts, escape_html=escape_html)
    except _FullError:
        raise LimitError(f"a text is longer than the limit of {most} characters") from None
    return "".join(parts)


def excerpt(value: Value, length: int) -> str:
    """Write the beginning of a value, of so many characters at most: it takes no longer, however large the value is."""
    parts = _Bounded(length)
    with suppress(_FullError):
        _write(value, parts, escape_html=False)
    text = "".join(parts)
    return text if len(text) <= length else text[: length - 1] + "…"


class _FullError(Exception):
    pass


class _Bounded(list[str]):
    """Parts of a text that nobody reads to its end."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self._left = length

    def append(self, part: str) -> None:
        super().append(part)
        self._left -= len(part)
        if self._left < 0:
            raise _FullError


def _write(value: Value, parts: list[str], *, escape_html: bool) -> None:
    if isinstance(value, str):
        parts.append(_quote(value, escape_html=escape_html))
    elif isinstance(value, list | frozenset):
        spend(len(value))
        items = value if isinstance(value, list) else map(unkey, ordered_forms(value))
        parts.append("[")
        for index, item in enumerate(items):
            parts.append("," if index else "")
            _write(item, parts, escape_html=escape_html)
        parts.append("]")
    elif isinstance(value, dict):
        spend(len(value))
        parts.append("{")
        for index, (name, item) in enumerate(sorted(by_name(value).items())):
            parts.append(("," if index else "") + _quote(name, escape_html=escape_html) + ":")
            _write(item, parts, escape_html=escape_html)
        parts.append("}")
    else:
        parts.append(_scalar(value))


def by_name(value: dict[Any, Value]) -> dict[str, Value]:
    """Give the members of an object by their names in JSON; of two with one name the last in Rego's order."""
    if all(form.__class__ is str for form in value):
        return value
    return {_key_text(form): value[form] for form in ordered_forms(value)}


def _quote(text: str, *, escape_html: bool) -> str:
    spend_text(len(text))
    quoted = encode_basestring(text)
    if not quoted.isascii():
        quoted = _NO_CHARACTER.sub(r"\\ufffd", quoted)
    return quoted.translate(_HTML) if escape_html else quoted


def _scalar(value: Value) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.text if isinstance(value, Number) else int.__repr__(value)


def _key_text(form: Any) -> str:
    """Give the name that a key has in JSON, where every key is a string."""
    return form if isinstance(form, str) else dumps(unkey(form), escape_html=False)


def from_python(document: Any) -> Value:
    """Make a value of a Python object: `json.loads` results, and tuples, sets, `Decimal` and `float`."""
    if document is None or isinstance(document, str | bool | Number):
        return document
    if isinstance(document, int):
        return int(document)
    if isinstance(document, dict):
        return {key(from_python(name)): from_python(member) for name, member in document.items()}
    if isinstance(document, list | tuple):
        return [from_python(member) for member in document]
    if isinstance(document, set | frozenset):
        return frozenset(key(from_python(member)) for member in document)
    if isinstance(document, float | Decimal) and math.isfinite(document):
        return parse_number(repr(document) if isinstance(document, float) else str(document))
    raise TypeError(f"{type(document).__name__} has no Rego value")
