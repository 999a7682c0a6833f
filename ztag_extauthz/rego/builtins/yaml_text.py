"""`yaml.unmarshal` and `yaml.is_valid`, for the part of YAML that every parser reads alike.

Block and flow collections, plain and quoted texts on one line, and comments. Anchors, tags, merges, explicit
keys, several documents, tabs, and texts over several lines are not supported.
"""

import re
from collections.abc import Iterator
from typing import Final

import yaml

from ztag_extauthz.rego.builtins.golang.floats import json_float
from ztag_extauthz.rego.builtins.interface import builtin, string
from ztag_extauthz.rego.documents import MAX_DEPTH
from ztag_extauthz.rego.errors import BuiltinError, EvaluationError, LimitError
from ztag_extauthz.rego.pace import spend
from ztag_extauthz.rego.values import Value

_MAX_LENGTH: Final = 200_000
_MAX_DIGITS: Final = 70
_PLAIN: Final = re.compile(r"[\n -~\u00a1-\u167f\u3001-\ud7ff]*")
_UNUSUAL: Final = re.compile(
    r"^(?:%|---|\.\.\.)|(?:^|[\s\[{,:-])[?&!|>]|<<|:[,\[\]{}]|\.[0-9]*_|\\(?![nrt\\\"u])", re.MULTILINE
)
_ESCAPES: Final = re.compile(r'"(?:[^"\\\n]|\\(?:[nrt\\"]|u(?:[0-9a-c][0-9a-f]|d[0-7])[0-9a-f]{2}))*"', re.IGNORECASE)
_CONSTANTS: Final[dict[str, Value]] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
}
_NOT_JSON: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_INTEGER: Final = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[oO]?([0-7]+)|0[bB]([01]+)|([1-9][0-9]*|0))")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


def _unsupported(what: str) -> EvaluationError:
    return EvaluationError("eval_unsupported_error", f"YAML with {what} is not supported")


def _unknown() -> BuiltinError:
    """Make the error of an alias, whatever it is: a text with anchors does not come so far."""
    return BuiltinError("yaml: unknown anchor")


@builtin("yaml.unmarshal")
def unmarshal(text: Value) -> Value:
    return _read(string(text, 1))


@builtin("yaml.is_valid")
def is_valid(text: Value) -> Value:
    if text.__class__ is not str:
        return False
    try:
        _read(text)
    except BuiltinError:
        return False
    return True


def _read(text: str) -> Value:
    if len(text) > _MAX_LENGTH:
        raise LimitError(f"a YAML text of more than {_MAX_LENGTH:,} characters")
    if not _PLAIN.fullmatch(text) or _UNUSUAL.search(text):
        raise _unsupported("unusual signs")
    try:
        events = _Events(yaml.parse(text, yaml.SafeLoader), text)
        return events.document()
    except yaml.YAMLError:
        raise BuiltinError("yaml: the text is malformed") from None


class _Events:
    def __init__(self, events: Iterator[yaml.Event], text: str) -> None:
        self._events, self._text = events, text

    def document(self) -> Value:
        self._next()
        first = self._next()
        value = None if isinstance(first, yaml.StreamEndEvent) else self._value(self._next(), 0)
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                raise _unsupported("several documents")
        return value

    def _next(self) -> yaml.Event:
        spend(10)
        return next(self._events)

    def _value(self, event: yaml.Event, depth: int) -> Value:
        if depth > MAX_DEPTH:
            raise LimitError("a YAML text is nested too deeply")
        if isinstance(event, yaml.AliasEvent):
            raise _unknown()
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return list(self._members(depth))
        if not isinstance(event, yaml.MappingStartEvent):
            raise _unsupported("such a value")
        return dict(self._pairs(depth))

    def _pairs(self, depth: int) -> Iterator[tuple[str, Value]]:
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            if isinstance(event, yaml.AliasEvent):
                raise _unknown()
            if not isinstance(event, yaml.ScalarEvent):
                raise _unsupported("such a key")
            yield _name(self._scalar(event), event), self._value(self._next(), depth + 1)

    def _members(self, depth: int) -> Iterator[Value]:
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            yield self._value(event, depth + 1)

    def _scalar(self, event: yaml.ScalarEvent) -> Value:
        written = self._text[event.start_mark.index : event.end_mark.index]  # type: ignore[union-attr]
        if event.style is None:
            if "\n" in written.rstrip():
                raise _unsupported("texts over several lines")
            return _resolved(event.value)
        if event.style in ("'", '"'):
            if "\n" in written or (event.style == '"' and not _ESCAPES.fullmatch(written)):
                raise _unsupported("texts over several lines, or unusual escapes")
            return event.value
        raise _unsupported("blocks of text")


def _name(key: Value, event: yaml.ScalarEvent) -> str:
    """Give the text that stands for a key in JSON; OPA writes floats as ones of 32 bits."""
    if isinstance(key, str):
        return key
    if isinstance(key, bool):
        return "true" if key else "false"
    if key is None or _integer(event.value.replace("_", "")) is None:
        raise _unsupported("such a key")
    return str(key)


def _resolved(text: str) -> Value:
    """Give what a plain text stands for."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _NOT_JSON.fullmatch(text):
        raise _unsupported("numbers that are none")
    if text[0] not in "+-.0123456789":
        return text
    plain = text if text[0] == "." else text.replace("_", "")
    integer = _integer(plain)
    if integer is not None:
        return integer
    number = float(plain) if _FLOAT.fullmatch(plain) else float("inf")
    return text if abs(number) == float("inf") else json_float(number)


def _integer(text: str) -> int | None:
    match = _INTEGER.fullmatch(text)
    if match is None:
        return None
    if len(text) > _MAX_DIGITS:
        raise _unsupported("numbers of so many digits")
    sign, *digits = match.groups()
    value = next(int(part, base) for part, base in zip(digits, (16, 8, 2, 10), strict=True) if part)
    value = -value if sign == "-" else value
    return value if -(1 << 63) <= value < 1 << 63 or (not sign and value < 1 << 64) else None
