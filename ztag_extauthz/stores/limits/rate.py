"""The text of a limit: `100/minute burst 10`, `10 per 5 seconds`, `5000/day fixed`."""

import re
from typing import Annotated

from msgspec import Struct
from pydantic import AfterValidator

_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_SHORT = {"s": "second", "m": "minute", "h": "hour", "d": "day"}
_TEXT = re.compile(
    r"(?P<count>[0-9][0-9_]*)\s*(?:/|\s(?:per|a|an)\s)\s*(?P<many>[0-9]+)?\s*(?P<unit>[a-z]+)"
    r"(?:\s+(?:burst\s+(?P<burst>[0-9][0-9_]*)|(?P<fixed>fixed)))?",
    re.ASCII,
)
_EXAMPLES = "write it like `100/minute burst 10`, `10 per 5 seconds` or `5000/day fixed`"
NANOSECONDS = 1_000_000_000


class Rate(Struct, frozen=True):
    """How many requests in how many seconds."""

    count: int
    seconds: int
    burst: int
    """Requests at once after a pause."""
    fixed: bool = False
    """A quota of a calendar window (UTC) that begins anew, instead of an even flow."""

    @property
    def amount(self) -> int:
        """What a request adds to the cell, ns."""
        return 1 if self.fixed else self.seconds * NANOSECONDS // self.count

    @property
    def ceiling(self) -> int:
        """What the cell may be ahead, ns."""
        return self.count if self.fixed else self.amount * self.burst

    @property
    def window(self) -> int:
        """The calendar window, ns; 0 for an even flow."""
        return self.seconds * NANOSECONDS if self.fixed else 0


def parse(text: str) -> Rate:
    """Read a limit; raises `ValueError` that says what is wrong and what would be right."""
    found = _TEXT.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError(f"{text!r} is no limit: {_EXAMPLES}")
    unit = _SHORT.get(found["unit"]) or found["unit"].removesuffix("s")
    if unit not in _UNITS:
        raise ValueError(f"{text!r}: {found['unit']!r} is no unit of time: second, minute, hour or day")
    count, many = int(found["count"]), int(found["many"] or 1)
    burst = count if found["burst"] is None else int(found["burst"])
    if count < 1 or many < 1 or burst < 1:
        raise ValueError(f"{text!r}: the numbers must be 1 or more")
    if max(count, burst) > 1_000_000 * many * _UNITS[unit]:
        raise ValueError(f"{text!r}: a million a second is the most")
    if many * _UNITS[unit] > 366 * 86400:
        raise ValueError(f"{text!r}: a year is the longest time")
    return Rate(count, many * _UNITS[unit], burst, bool(found["fixed"]))


def _check(text: str) -> str:
    parse(text)
    return text


RateText = Annotated[str, AfterValidator(_check)]
"""`100/minute burst 10`: an even flow of 100 a minute, 10 at once after a pause (left out: all 100).
`5000/day fixed`: 5000 in each calendar day, UTC."""
