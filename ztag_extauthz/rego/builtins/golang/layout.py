"""Go's time layouts: a time printed the way its reference time, `Mon Jan 2 15:04:05 MST 2006`, is written."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

# At each place the first alternative that fits counts, as in Go.
_CHUNK: Final = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|0[1-6]|002|15|1|2006|2|_2(?!006)|__2|3|4|5|PM|pm"
    r"|[-Z](?:070000|07:00:00|0700|07:00|07)|[.,](?:0+|9+)(?![0-9])"
)

NAMED: Final = {
    "ANSIC": "Mon Jan _2 15:04:05 2006",
    "UnixDate": "Mon Jan _2 15:04:05 MST 2006",
    "RubyDate": "Mon Jan 02 15:04:05 -0700 2006",
    "RFC822": "02 Jan 06 15:04 MST",
    "RFC822Z": "02 Jan 06 15:04 -0700",
    "RFC850": "Monday, 02-Jan-06 15:04:05 MST",
    "RFC1123": "Mon, 02 Jan 2006 15:04:05 MST",
    "RFC1123Z": "Mon, 02 Jan 2006 15:04:05 -0700",
    "RFC3339": "2006-01-02T15:04:05Z07:00",
    "RFC3339Nano": "2006-01-02T15:04:05.999999999Z07:00",
}


def chunks(layout: str) -> Iterator[tuple[str, str]]:
    """Give each element with the literal text before it; the last element is empty."""
    place = 0
    for match in _CHUNK.finditer(layout):
        yield layout[place : match.start()], match[0]
        place = match.end()
    yield layout[place:], ""


def format_time(moment: datetime, nanosecond: int, layout: str) -> str:
    """Print a time; its fraction of a second comes apart, for Python's is too coarse."""
    return "".join(prefix + _printed(moment, nanosecond, chunk) for prefix, chunk in chunks(layout))


_ELEMENTS: Final[dict[str, Callable[[datetime], str]]] = {
    "": lambda _: "",
    "January": lambda t: MONTHS[t.month - 1],
    "Jan": lambda t: MONTHS[t.month - 1][:3],
    "1": lambda t: str(t.month),
    "01": lambda t: f"{t.month:02d}",
    "Monday": lambda t: DAYS[t.weekday()],
    "Mon": lambda t: DAYS[t.weekday()][:3],
    "2": lambda t: str(t.day),
    "_2": lambda t: f"{t.day:2d}",
    "02": lambda t: f"{t.day:02d}",
    "__2": lambda t: f"{_year_day(t):3d}",
    "002": lambda t: f"{_year_day(t):03d}",
    "15": lambda t: f"{t.hour:02d}",
    "3": lambda t: str(t.hour % 12 or 12),
    "03": lambda t: f"{t.hour % 12 or 12:02d}",
    "4": lambda t: str(t.minute),
    "04": lambda t: f"{t.minute:02d}",
    "5": lambda t: str(t.second),
    "05": lambda t: f"{t.second:02d}",
    "2006": lambda t: f"{t.year:04d}",
    "06": lambda t: f"{t.year % 100:02d}",
    "PM": lambda t: "PM" if t.hour >= 12 else "AM",
    "pm": lambda t: "pm" if t.hour >= 12 else "am",
    "MST": lambda t: t.tzname() or "",
}


def _year_day(moment: datetime) -> int:
    return moment.timetuple().tm_yday


def _printed(moment: datetime, nanosecond: int, chunk: str) -> str:
    element = _ELEMENTS.get(chunk)
    if element is not None:
        return element(moment)
    if chunk[0] in ".,":
        return _fraction(nanosecond, chunk)
    return _offset(moment, chunk)


def _fraction(nanosecond: int, chunk: str) -> str:
    digits = f"{nanosecond:09d}"[: len(chunk) - 1]
    if chunk[1] == "9":
        digits = digits.rstrip("0")
        return chunk[0] + digits if digits else ""
    return chunk[0] + digits.ljust(len(chunk) - 1, "0")


def _offset(moment: datetime, chunk: str) -> str:
    difference = moment.utcoffset()
    seconds = int(difference.total_seconds()) if difference else 0
    if chunk[0] == "Z" and not seconds:
        return "Z"
    # Go cuts the minutes towards zero and takes the sign from them.
    minutes = abs(seconds) // 60
    sign = "-" if seconds < 0 and minutes else "+"
    parts = [f"{minutes // 60:02d}", f"{minutes % 60:02d}", f"{abs(seconds) % 60:02d}"]
    shown = (len(chunk) - chunk.count(":") - 1) // 2
    return sign + (":" if ":" in chunk else "").join(parts[:shown])
