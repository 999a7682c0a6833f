"""Structured field values (RFC 9651), read and written as strictly as it says: whatever is not exactly one is none."""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class StructuredFieldError(ValueError):
    """The text is no structured field of the type that was asked for."""


class Token(Struct, frozen=True):
    """A word without quotes."""

    name: str


class Date(Struct, frozen=True):
    """A point in time."""

    seconds: int
    """Unix seconds."""


class DisplayString(Struct, frozen=True):
    """Text for people, in any script."""

    text: str


Bare: TypeAlias = int | float | str | bytes | bool | Token | Date | DisplayString
Parameters: TypeAlias = dict[str, Bare]
Item: TypeAlias = tuple[Bare, Parameters]
Member: TypeAlias = "Item | tuple[list[Item], Parameters]"
Written: TypeAlias = "tuple[Bare | list[Item], Mapping[str, Bare]]"
"""A member, as it may be given to be written."""

_KEY = re.compile(r"[a-z*][a-z0-9_.*-]*")
_NUMBER = re.compile(r"-?([0-9]+)(?:\.([0-9]+))?")
_STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_TOKEN = re.compile(r"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*")
_BINARY = re.compile(r":([A-Za-z0-9+/=]*):")
_DISPLAY = re.compile(r'%"((?:[ !#-$&-~]|%[0-9a-f]{2})*)"')
_ESCAPE = re.compile(r'\\(["\\])')
_OCTET = re.compile(rb"%([0-9a-f]{2})")
_TOO_LARGE = 999_999_999_999.9995
"""Decimals have twelve digits before the point, and are rounded to three behind it."""
_ASCII = re.compile(r"[ -~]*")
_UNSHOWN = re.compile(rb"[^ !#$&-~]")


def parse_item(text: str) -> Item:
    """Return a field that is one item. Raises `StructuredFieldError`."""
    return _whole(text, _Reader.item)


def parse_list(text: str) -> list[Member]:
    """Return a field that is a list. Raises `StructuredFieldError`."""
    return _whole(text, _Reader.list)


def parse_dictionary(text: str) -> dict[str, Member]:
    """Return a field that is a dictionary; of a name that occurs twice the last one counts. Raises like the others."""
    return _whole(text, _Reader.dictionary)


def write_item(item: "tuple[Bare, Mapping[str, Bare]]") -> str:
    """Return an item as a field. Raises `StructuredFieldError` for what cannot be written."""
    bare, parameters = item
    return _written(bare) + _written_parameters(parameters)


def write_list(members: "Sequence[Written]") -> str:
    """Return a list as a field. Raises `StructuredFieldError`."""
    return ", ".join(map(_written_member, members))


def write_dictionary(members: "Mapping[str, Written]") -> str:
    """Return a dictionary as a field. Raises `StructuredFieldError`."""
    return ", ".join(
        _key(name) + (_written_parameters(member[1]) if member[0] is True else f"={_written_member(member)}")
        for name, member in members.items()
    )


def _written_member(member: Written) -> str:
    value, parameters = member
    if isinstance(value, list):
        return f"({' '.join(map(write_item, value))}){_written_parameters(parameters)}"
    return write_item((value, parameters))


def _written_parameters(parameters: "Mapping[str, Bare]") -> str:
    return "".join(
        f";{_key(name)}" + ("" if value is True else f"={_written(value)}") for name, value in parameters.items()
    )


def _key(name: str) -> str:
    if not _KEY.fullmatch(name):
        raise StructuredFieldError("not a key")
    return name


def _written(value: Bare) -> str:  # noqa: PLR0911 - one for each type
    match value:
        case bool():
            return "?1" if value else "?0"
        case int() | float():
            return _written_number(value)
        case Date(seconds):
            return f"@{_written_number(seconds)}"
        case bytes():
            return f":{b64encode(value).decode()}:"
        case Token(name) if _TOKEN.fullmatch(name):
            return name
        case DisplayString(text):
            return '%"' + _UNSHOWN.sub(lambda found: b"%%%02x" % found[0][0], text.encode()).decode() + '"'
        case str() if _ASCII.fullmatch(value):
            return '"' + value.replace("\\", r"\\").replace('"', r"\"") + '"'
    raise StructuredFieldError("a value that no field can have")


def _written_number(number: float) -> str:
    if isinstance(number, int):
        if abs(number) >= 10**15:
            raise StructuredFieldError("a number has too many digits")
        return str(number)
    if not abs(number) < _TOO_LARGE:  # nor is what is not a number
        raise StructuredFieldError("a number has too many digits")
    rounded = Decimal(repr(number)).quantize(Decimal("0.001"), ROUND_HALF_EVEN)
    whole, _, fraction = str(rounded).partition(".")
    return f"{whole}.{fraction.rstrip('0') or '0'}"


Value = TypeVar("Value")


def _whole(text: str, read: "Callable[[_Reader], Value]") -> Value:
    if not text.isascii():
        raise StructuredFieldError("not ASCII")
    reader = _Reader(text.strip(" "))
    value = read(reader)
    if reader.rest:
        raise StructuredFieldError("something stands behind the value")
    return value


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    @property
    def rest(self) -> bool:
        return self._at < len(self._text)

    def list(self) -> "list[Member]":
        members: list[Member] = []
        while self.rest:
            members.append(self._member())
            self._comma()
        return members

    def dictionary(self) -> dict[str, Member]:
        members: dict[str, Member] = {}
        while self.rest:
            key = self._match(_KEY, "a key")[0]
            members[key] = self._member() if self._take("=") else (True, self._parameters())
            self._comma()
        return members

    def item(self) -> Item:
        return self._bare(), self._parameters()

    def _member(self) -> Member:
        if not self._take("("):
            return self.item()
        items: list[Item] = []
        while True:
            self._skip(" ")
            if self._take(")"):
                return items, self._parameters()
            items.append(self.item())
            if self._next() not in {" ", ")"}:
                raise StructuredFieldError("an inner list is not closed")

    def _comma(self) -> None:
        """Step over the comma between two members."""
        self._skip(" \t")
        if not self.rest:
            return
        if not self._take(","):
            raise StructuredFieldError("a comma is missing")
        self._skip(" \t")
        if not self.rest:
            raise StructuredFieldError("a comma stands at the end")

    def _parameters(self) -> Parameters:
        found: Parameters = {}
        while self._take(";"):
            self._skip(" ")
            key = self._match(_KEY, "a parameter's name")[0]
            value = self._bare() if self._take("=") else True
            found[key] = value
        return found

    def _bare(self) -> Bare:  # noqa: PLR0911 - one for each type
        letter = self._next()
        if letter == "?":
            return self._boolean()
        if letter == "@":
            self._at += 1
            seconds = self._number()
            if isinstance(seconds, float):
                raise StructuredFieldError("a date has a fraction")
            return Date(seconds)
        if letter == '"':
            return _ESCAPE.sub(r"\1", self._match(_STRING, "a string")[1])
        if letter == ":":
            return _decoded(self._match(_BINARY, "a byte sequence")[1])
        if letter == "%":
            return _displayed(self._match(_DISPLAY, "a display string")[1])
        if letter == "-" or letter.isdigit():
            return self._number()
        return Token(self._match(_TOKEN, "a value")[0])

    def _boolean(self) -> bool:
        value = {"?0": False, "?1": True}.get(self._text[self._at : self._at + 2])
        if value is None:
            raise StructuredFieldError("not a boolean")
        self._at += 2
        return value

    def _number(self) -> int | float:
        found = self._match(_NUMBER, "a number")
        whole, fraction = found[1], found[2]
        if self._next() == ".":
            raise StructuredFieldError("a number ends with a point")
        if fraction is None and len(whole) <= 15:
            return int(found[0])
        if fraction is None or len(whole) > 12 or len(fraction) > 3:
            raise StructuredFieldError("a number has too many digits")
        return float(found[0])

    def _match(self, pattern: re.Pattern[str], what: str) -> re.Match[str]:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise StructuredFieldError(f"not {what}")
        self._at = found.end()
        return found

    def _take(self, letter: str) -> bool:
        taken = self._next() == letter
        self._at += taken
        return taken

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _skip(self, letters: str) -> None:
        while self.rest and self._text[self._at] in letters:
            self._at += 1


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except Base64Error as error:
        raise StructuredFieldError("not base64") from error


def _displayed(text: str) -> DisplayString:
    try:
        return DisplayString(_OCTET.sub(lambda found: bytes.fromhex(found[1].decode()), text.encode()).decode())
    except UnicodeDecodeError as error:
        raise StructuredFieldError("not UTF-8") from error
