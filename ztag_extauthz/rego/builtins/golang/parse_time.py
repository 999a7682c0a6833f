"""Go's `time.Parse`: a text read by a layout, to nanoseconds since 1970. The machine's own zone plays no part."""

import calendar
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final

from ztag_extauthz.rego.builtins.golang.layout import DAYS, MONTHS, chunks


class TimeError(ValueError):
    """The text is no time of this layout."""


_ZONE: Final = re.compile(
    r"ChST|MeST|GMT(?:[+-](?:0*(?:1?[0-9]|2[0-3]))(?![0-9]))?|[+-](?:0*(?:1?[0-9]|2[0-3]))(?![0-9])"
    r"|(?:[A-Z]{4}T|[A-Z]{3}T|WITA|[A-Z]{3})(?![A-Z])"
)
_FRACTION: Final = re.compile(r"[.,]([0-9]+)")
_EPOCH: Final = date(1970, 1, 1).toordinal()


@dataclass
class _Parser:
    text: str
    year: int = 0
    month: int = -1
    day: int = -1
    year_day: int = -1
    hour: int = 0
    minute: int = 0
    second: int = 0
    nanosecond: int = 0
    offset: int = 0
    afternoon: bool | None = None

    def take(self, pattern: str) -> str:
        match = re.match(pattern, self.text, re.ASCII)
        if match is None:
            raise TimeError(f"cannot parse {self.text!r}")
        self.text = self.text[match.end() :]
        return match[0]

    def number(self, *, fixed: bool, low: int = 0, high: int = 99) -> int:
        value = int(self.take(r"\d\d" if fixed else r"\d\d?"))
        if not low <= value <= high:
            raise TimeError("a part of the time is out of range")
        return value

    def name(self, names: tuple[str, ...], length: int | None = None) -> int:
        for place, full in enumerate(names):
            name = full[:length]
            if self.text[: len(name)].lower() == name.lower() and self.text[: len(name)].isascii():
                self.text = self.text[len(name) :]
                return place
        raise TimeError(f"cannot parse {self.text!r}")

    def literal(self, prefix: str) -> None:
        """Skip a text; a space in it stands for any number of spaces."""
        while prefix:
            if prefix[0] == " ":
                if self.text and self.text[0] != " ":
                    raise TimeError("a space is missing")
                prefix, self.text = prefix.lstrip(" "), self.text.lstrip(" ")
            elif self.text[:1] == prefix[0]:
                prefix, self.text = prefix[1:], self.text[1:]
            else:
                raise TimeError(f"cannot parse {self.text!r} as {prefix!r}")


def _set_year(parser: _Parser) -> None:
    year = int(parser.take(r"\d\d"))
    parser.year = year + (1900 if year >= 69 else 2000)


def _set_day(parser: _Parser, chunk: str) -> None:
    if chunk == "_2":
        parser.text = parser.text.removeprefix(" ")
    parser.day = parser.number(fixed=chunk == "02")


def _set_year_day(parser: _Parser, chunk: str) -> None:
    if chunk == "__2":
        parser.text = parser.text.removeprefix(" ").removeprefix(" ")
    parser.year_day = int(parser.take(r"\d{3}" if chunk == "002" else r"\d{1,3}"))


def _set_half(parser: _Parser, chunk: str) -> None:
    names = ("PM", "AM") if chunk == "PM" else ("pm", "am")
    parser.afternoon = parser.take("|".join(names)) == names[0]


def _set_fraction(parser: _Parser, chunk: str) -> None:
    if chunk[1] == "9":
        match = _FRACTION.match(parser.text)
        digits = match[1] if match else ""
        parser.text = parser.text[match.end() if match else 0 :]
    else:
        digits = parser.take(rf"[.,]\d{{{len(chunk) - 1}}}")[1:]
    parser.nanosecond = int(digits[:9].ljust(9, "0"))


def _set_zone(parser: _Parser) -> None:
    if parser.text.startswith("UTC"):
        parser.text = parser.text[3:]
        return
    match = _ZONE.match(parser.text)
    if match is None:
        raise TimeError(f"cannot parse {parser.text!r}")
    parser.text = parser.text[match.end() :]
    # A zone's name moves nothing, not even that of `GMT+3`.


def _set_offset(parser: _Parser, chunk: str) -> None:
    if chunk[0] == "Z" and parser.text.startswith("Z"):
        parser.text = parser.text[1:]
        return
    shape = chunk[1:].replace("07", r"(\d\d)", 1).replace("00", r"(\d\d)")
    match = re.match(r"([+-])" + shape, parser.text, re.ASCII)
    if match is None:
        raise TimeError(f"cannot parse {parser.text!r}")
    parser.text = parser.text[match.end() :]
    hours, minutes, seconds = (*map(int, match.groups()[1:]), 0, 0)[:3]
    if hours > 24 or minutes > 60 or seconds > 60:
        raise TimeError("time zone offset out of range")
    offset = hours * 3600 + minutes * 60 + seconds
    parser.offset = -offset if match[1] == "-" else offset


_SETTERS: Final[dict[str, Callable[[_Parser, str], object]]] = {
    "January": lambda p, _: setattr(p, "month", p.name(MONTHS) + 1),
    "Jan": lambda p, _: setattr(p, "month", p.name(MONTHS, 3) + 1),
    "1": lambda p, _: setattr(p, "month", p.number(fixed=False, low=1, high=12)),
    "01": lambda p, _: setattr(p, "month", p.number(fixed=True, low=1, high=12)),
    "Monday": lambda p, _: p.name(DAYS),
    "Mon": lambda p, _: p.name(DAYS, 3),
    "2": _set_day,
    "_2": _set_day,
    "02": _set_day,
    "__2": _set_year_day,
    "002": _set_year_day,
    "15": lambda p, _: setattr(p, "hour", p.number(fixed=False, high=23)),
    "3": lambda p, _: setattr(p, "hour", p.number(fixed=False, high=12)),
    "03": lambda p, _: setattr(p, "hour", p.number(fixed=True, high=12)),
    "4": lambda p, _: setattr(p, "minute", p.number(fixed=False, high=59)),
    "04": lambda p, _: setattr(p, "minute", p.number(fixed=True, high=59)),
    "2006": lambda p, _: setattr(p, "year", int(p.take(r"\d{4}"))),
    "06": lambda p, _: _set_year(p),
    "PM": _set_half,
    "pm": _set_half,
    "MST": lambda p, _: _set_zone(p),
}


def _set_second(parser: _Parser, chunk: str, following: str) -> None:
    parser.second = parser.number(fixed=chunk == "05", high=59)
    # A fraction in the text is taken also where the layout has none.
    if following[:1] not in (".", ",") or not following:
        _set_fraction(parser, ".9")


def parse_time(text: str, layout: str) -> int:
    parser = _Parser(text)
    elements = list(chunks(layout))
    for place, (prefix, chunk) in enumerate(elements):
        parser.literal(prefix)
        if chunk in ("5", "05"):
            _set_second(parser, chunk, elements[place + 1][1])
        elif chunk:
            setter = _SETTERS.get(chunk) or (_set_fraction if chunk[0] in ".," else _set_offset)
            setter(parser, chunk)
    if parser.text:
        raise TimeError(f"extra text: {parser.text!r}")
    return _nanoseconds(parser)


def _nanoseconds(parser: _Parser) -> int:
    hour = parser.hour
    if parser.afternoon and hour < 12:
        hour += 12
    elif parser.afternoon is False and hour == 12:
        hour = 0
    seconds = (_days(parser) * 24 + hour) * 3600 + parser.minute * 60 + parser.second - parser.offset
    return seconds * 1_000_000_000 + parser.nanosecond


def _days(parser: _Parser) -> int:
    year = parser.year or 4  # the year 0 has a 29 February too; Python has no year 0
    shift = 0 if parser.year else -(366 + 365 * 3)
    month, day = (parser.month, parser.day) if parser.year_day < 0 else _by_year_day(parser, year)
    month, day = max(month, 1) if month < 0 else month, 1 if day < 0 else day
    if not 1 <= day <= calendar.monthrange(year, month)[1]:
        raise TimeError("day out of range")
    return date(year, month, day).toordinal() - _EPOCH + shift


def _by_year_day(parser: _Parser, year: int) -> tuple[int, int]:
    if not 1 <= parser.year_day <= 365 + calendar.isleap(year):
        raise TimeError("day-of-year out of range")
    found = date.fromordinal(date(year, 1, 1).toordinal() + parser.year_day - 1)
    if parser.month >= 0 and parser.month != found.month:
        raise TimeError("day-of-year does not match month")
    if parser.day >= 0 and parser.day != found.day:
        raise TimeError("day-of-year does not match day")
    return found.month, found.day
