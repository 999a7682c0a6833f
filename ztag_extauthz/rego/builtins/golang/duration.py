"""Go's durations, with OPA's days, weeks and years."""

import re
from typing import Final

from ztag_extauthz.rego.builtins.golang.floats import format_float


class DurationError(ValueError):
    """The text is no duration."""


_UNITS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_HOURS: Final = {"d": 24, "w": 7 * 24, "y": 365 * 24}
_PART: Final = re.compile(r"(?=\.?[0-9])([0-9]*)(\.[0-9]*)?([^.0-9]+)")
_LIMIT: Final = 1 << 63
_EXTENDED: Final = re.compile(r"([+-]?)((?:[0-9.]+(?:ms|us|µs|ns|[a-z]))+)")
_SEGMENT: Final = re.compile(r"(?<![0-9.])([0-9.]++)(ms|us|µs|ns|[a-z])")


def parse_duration(text: str) -> int:
    """Read a duration as nanoseconds; a day has 24 hours, a year 365 days."""
    if any(letter in text for letter in "dwy"):
        match = _EXTENDED.fullmatch(text)
        if match is None:
            raise DurationError(f"invalid duration {text!r}")
        text = match[1] + "".join(_in_hours(*segment) for segment in _SEGMENT.findall(match[2]))
    return _parse(text)


def _in_hours(digits: str, unit: str) -> str:
    if unit not in _HOURS:
        return digits + unit
    try:
        hours = float(digits) * _HOURS[unit]
    except ValueError:
        raise DurationError(f"invalid duration: {digits!r}") from None
    return format_float(hours, "f") + "h"


def _parse(text: str) -> int:
    negative = text.startswith("-")
    rest = text[1:] if text[:1] in ("-", "+") and text else text
    if rest == "0":
        return 0
    total, place = 0, 0
    while place < len(rest):
        match = _PART.match(rest, place)
        if match is None:
            raise DurationError(f"invalid duration {text!r}")
        total += _nanoseconds(match[1], (match[2] or ".")[1:], match[3])
        place = match.end()
        if total > _LIMIT:
            raise DurationError(f"invalid duration {text!r}")
    if not rest or (total == _LIMIT and not negative):
        raise DurationError(f"invalid duration {text!r}")
    return -total if negative else total


def _nanoseconds(whole: str, fraction: str, unit: str) -> int:
    size = _UNITS.get(unit)
    if size is None:
        raise DurationError(f"unknown unit {unit!r} in duration")
    value = int(whole or 0) if len(whole) < 20 else _LIMIT + 1
    if value > _LIMIT // size:
        raise DurationError("invalid duration")
    digits, scale = 0, 1.0
    for digit in fraction:
        longer = digits * 10 + int(digit)
        if digits > (_LIMIT - 1) // 10 or longer > _LIMIT:
            break
        digits, scale = longer, scale * 10
    return value * size + (int(float(digits) * (float(size) / scale)) if digits else 0)
