"""Time: nanoseconds since 1970, alone or as `[nanoseconds, zone]` or `[nanoseconds, zone, layout]`."""

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from ztag_extauthz.rego.builtins.golang.duration import DurationError, parse_duration
from ztag_extauthz.rego.builtins.golang.layout import DAYS, NAMED, format_time
from ztag_extauthz.rego.builtins.golang.parse_time import TimeError, parse_time
from ztag_extauthz.rego.builtins.interface import Context, builtin, integer, number, string, type_error
from ztag_extauthz.rego.builtins.numbers import to_float
from ztag_extauthz.rego.errors import BuiltinError, EvaluationError
from ztag_extauthz.rego.values import Value, is_number

_LIMIT: Final = 1 << 63
_SECOND: Final = 1_000_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_LAYOUT: Final = 10_000


@lru_cache(maxsize=512)
def _zone(name: str) -> tzinfo:
    if name in ("", "UTC"):
        return UTC
    if name == "Local":
        raise EvaluationError("eval_unsupported_error", "the machine's own time zone is no part of a policy")
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not found, a name that leaves the folder, a folder
        raise BuiltinError(f"unknown time zone {name}") from None


def _moment(value: Value) -> tuple[datetime, int, str]:
    """Give the time, its nanoseconds within the second, and the layout."""
    zone, layout = "", ""
    nanoseconds = value
    if value.__class__ is list and value:
        nanoseconds = number(value[0], 1)
        zone = string(value[1], 1) if len(value) > 1 else ""
        layout = string(value[2], 1) if len(value) > 2 else ""
    elif not is_number(value):
        raise type_error(1, value, "either number (ns) or [number (ns), string (tz)]")
    exact = to_float(nanoseconds)
    whole = exact.truncate()
    if not exact.is_integer or not -_LIMIT <= whole < _LIMIT:
        raise BuiltinError("timestamp too big")
    seconds, fraction = divmod(whole, _SECOND)
    return (_EPOCH + timedelta(seconds=seconds)).astimezone(_zone(zone)), fraction, layout


def _safe(nanoseconds: int) -> int:
    if not -_LIMIT <= nanoseconds < _LIMIT:
        raise BuiltinError("time outside of valid range")
    return nanoseconds


def _refuse_long(*texts: str) -> None:
    if max(map(len, texts)) > _MAX_LAYOUT:
        raise BuiltinError("the text is too long")


@builtin("time.now_ns", context=True)
def now_ns(context: Context) -> Value:
    return context.now_ns


@builtin("time.parse_ns")
def parse_ns(layout: Value, text: Value) -> Value:
    layout, text = string(layout, 1), string(text, 2)
    return _parsed(NAMED.get(layout) or layout, text)


@builtin("time.parse_rfc3339_ns")
def parse_rfc3339_ns(text: Value) -> Value:
    return _parsed(NAMED["RFC3339"], string(text, 1))


def _parsed(layout: str, text: str) -> int:
    _refuse_long(layout, text)
    try:
        return _safe(parse_time(text, layout))
    except TimeError as error:
        raise BuiltinError(str(error)) from None


@builtin("time.parse_duration_ns")
def parse_duration_ns(text: Value) -> Value:
    _refuse_long(string(text, 1))
    try:
        return parse_duration(text)
    except DurationError as error:
        raise BuiltinError(f"time: {error}") from None


@builtin("time.format")
def format_ns(value: Value) -> Value:
    moment, fraction, layout = _moment(value)
    _refuse_long(layout)
    return format_time(moment, fraction, NAMED.get(layout, layout) or NAMED["RFC3339Nano"])


@builtin("time.date")
def date(value: Value) -> Value:
    moment, _, _ = _moment(value)
    return [moment.year, moment.month, moment.day]


@builtin("time.clock")
def clock(value: Value) -> Value:
    moment, _, _ = _moment(value)
    return [moment.hour, moment.minute, moment.second]


@builtin("time.weekday")
def weekday(value: Value) -> Value:
    return DAYS[_moment(value)[0].weekday()]


@builtin("time.add_date")
def add_date(value: Value, years: Value, months: Value, days: Value) -> Value:
    """Add to the calendar's date; what is too much for a month goes into the next one."""
    moment, fraction, _ = _moment(value)
    year, month = moment.year + integer(years, 2), moment.month - 1 + integer(months, 3)
    year, month = year + month // 12, month % 12
    added = moment.day - 1 + integer(days, 4)
    try:
        changed = datetime(year, month + 1, 1, moment.hour, moment.minute, moment.second, tzinfo=UTC)
        seconds = _seconds(changed + timedelta(days=added), moment.tzinfo or UTC)
    except (ValueError, OverflowError):
        raise BuiltinError("time outside of valid range") from None
    return _safe(seconds * _SECOND + fraction)


def _seconds(wall: datetime, zone: tzinfo) -> int:
    """Give the time of a clock on the wall, which a zone may skip or have twice, as Go decides it.

    Go takes the offset in force if the clock showed UTC, goes back by it, and looks once more.
    """
    offset = wall.astimezone(zone).utcoffset() or timedelta()
    if offset:
        offset = (wall - offset).astimezone(zone).utcoffset() or timedelta()
    return (wall - offset - _EPOCH) // timedelta(seconds=1)


@builtin("time.diff")
def diff(left: Value, right: Value) -> Value:
    """Give years, months, days, hours, minutes and seconds between two times, by the first one's calendar."""
    first, fraction, _ = _moment(left)
    second, other_fraction, _ = _moment(right)
    second = second.astimezone(first.tzinfo)
    if (first.astimezone(UTC), fraction) > (second.astimezone(UTC), other_fraction):
        first, second = second, first
    return _difference(first, second)


def _difference(first: datetime, second: datetime) -> list[Value]:
    parts = [
        second.year - first.year,
        second.month - first.month,
        second.day - first.day,
        second.hour - first.hour,
        second.minute - first.minute,
        second.second - first.second,
    ]
    sizes = (0, 12, _days_in_month(first), 24, 60, 60)
    for place in range(5, 0, -1):
        if parts[place] < 0:
            parts[place] += sizes[place]
            parts[place - 1] -= 1
    return list(parts)


def _days_in_month(moment: datetime) -> int:
    return 32 - (datetime(moment.year, moment.month, 1, tzinfo=UTC) + timedelta(days=31)).day
