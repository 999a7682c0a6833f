"""Semantic versions; a `v` in front is taken."""

import re
from typing import Final

from ztag_extauthz.rego.builtins.interface import builtin, string
from ztag_extauthz.rego.errors import BuiltinError
from ztag_extauthz.rego.values import Value

_IDENTIFIERS: Final = re.compile(r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*")
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_DECIMAL: Final = re.compile(r"[0-9]+")
_LARGEST: Final = (1 << 63) - 1

Version = tuple[tuple[int, ...], str]


def parse(text: str) -> Version | None:
    """Give major, minor and patch, and the pre-release; None where it is no version."""
    front, plus, metadata = text.removeprefix("v").partition("+")
    front, dash, pre_release = front.partition("-")
    if plus and not _IDENTIFIERS.fullmatch(metadata):
        return None
    if dash and not (_IDENTIFIERS.fullmatch(pre_release) and _without_leading_zeros(pre_release)):
        return None
    numbers = front.split(".")
    if len(numbers) != 3 or not all(map(_NUMBER.fullmatch, numbers)):
        return None
    version = tuple(map(int, numbers))
    return (version, pre_release) if max(version) <= _LARGEST else None


def _without_leading_zeros(pre_release: str) -> bool:
    return not any(len(name) > 1 and name[0] == "0" and _DECIMAL.fullmatch(name) for name in pre_release.split("."))


def _order(pre_release: str) -> tuple[object, ...]:
    """Order as the standard says: numbers before names, a longer list behind its beginning, none last."""
    if not pre_release:
        return (1,)
    names = ((0, _number(name), "") if _DECIMAL.fullmatch(name) else (1, 0, name) for name in pre_release.split("."))
    return (0, *names)


def _number(digits: str) -> int:
    """Read a number; one that the machine does not hold is its largest, as it is to Go."""
    return _LARGEST if len(digits.lstrip("0")) > 19 else min(int(digits.lstrip("0") or "0"), _LARGEST)


@builtin("semver.is_valid")
def is_valid(text: Value) -> Value:
    return text.__class__ is str and parse(text) is not None


@builtin("semver.compare")
def compare(left: Value, right: Value) -> Value:
    ours, theirs = parse(string(left, 1)), parse(string(right, 2))
    if ours is None:
        raise BuiltinError(f"operand 1: string {left} is not a valid SemVer")
    if theirs is None:
        raise BuiltinError(f"operand 2: string {right} is not a valid SemVer")
    first, second = (ours[0], _order(ours[1])), (theirs[0], _order(theirs[1]))
    return (first > second) - (first < second)
