"""Amounts with units: `10Ki`, `1.5GB`."""

import re
from fractions import Fraction
from typing import Final

from ztag_extauthz.rego.builtins.golang import bigfloat
from ztag_extauthz.rego.builtins.golang.text import lower_runes
from ztag_extauthz.rego.builtins.interface import builtin, string
from ztag_extauthz.rego.builtins.numbers import MAX_DIGITS
from ztag_extauthz.rego.documents import parse_number
from ztag_extauthz.rego.errors import BuiltinError
from ztag_extauthz.rego.values import Value

# An exponent belongs to the number if a digit or a sign follows its letter; else the letter begins the unit.
_AMOUNT: Final = re.compile(r"(?:[0-9.+-]|[eE](?:[+-]|(?=[0-9])))*", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?(?=\.?[0-9])[0-9]*+\.?[0-9]*+(?:[eE][+-]?([0-9]+))?", re.ASCII)
_LONG_EXPONENT: Final = re.compile(r"[eE][+-]?[0-9]{7}", re.ASCII)
_POWERS: Final = {letter: power for power, letter in enumerate("kmgtpe", start=1)}


def _split(text: str, name: str) -> tuple[str, str]:
    if " " in text:
        raise BuiltinError(f"{name}: spaces not allowed in resource strings")
    match = _AMOUNT.match(text)
    amount = match[0] if match else ""
    if _LONG_EXPONENT.search(amount):
        raise BuiltinError(f"{name}: exponent too large")
    if not amount:
        raise BuiltinError(f"{name}: no amount provided")
    return amount, text[len(amount) :]


def _checked(amount: str, name: str) -> str:
    match = _NUMBER.fullmatch(amount)
    if match is None:
        raise BuiltinError(f"{name}: could not parse amount to a number")
    if len(amount) + int(match[1] or 0) > MAX_DIGITS:
        raise BuiltinError(f"{name}: too many digits")
    return amount


@builtin("units.parse")
def parse(text: Value) -> Value:
    """Read an amount; `m` is a thousandth, `M` a million, `Mi` 2**20."""
    amount, unit = _split(string(text, 1).replace('"', ""), "units.parse")
    factor = _factor(unit[:1] + lower_runes(unit[1:]))
    value = Fraction(_checked(amount, "units.parse").replace(".e", "e").replace(".E", "E").rstrip(".")) * factor
    if value.denominator == 1:
        return value.numerator
    scaled = abs(value) * 10**10
    digits = str(int(scaled + Fraction(1, 2))).rjust(11, "0")
    return parse_number(f"{'-' if value < 0 else ''}{digits[:-10]}.{digits[-10:]}")


def _factor(unit: str) -> Fraction:
    if unit == "m":
        return Fraction(0.001)
    if not unit:
        return Fraction(1)
    power = _POWERS.get(unit[0].lower())
    if power is None or unit[1:] not in ("", "i"):
        raise BuiltinError(f"units.parse: unit {unit} not recognized")
    return Fraction(1024**power if unit[1:] else 1000**power)


@builtin("units.parse_bytes")
def parse_bytes(text: Value) -> Value:
    """Read an amount of bytes; upper and lower case are the same, a `b` at the end may be left out."""
    lowered = lower_runes(string(text, 1)).replace('"', "")
    amount, unit = _split(lowered, "units.parse_bytes")
    factor = _byte_factor(unit)
    number = bigfloat.parse(_checked(amount, "units.parse_bytes"))
    if number is None:
        raise BuiltinError("units.parse_bytes: could not parse byte amount to a number")
    return bigfloat.multiply(number, bigfloat.from_int(factor)).truncate()


def _byte_factor(unit: str) -> int:
    if not unit:
        return 1
    power = _POWERS.get(unit[0])
    if power is None or unit[1:] not in ("", "b", "i", "ib"):
        raise BuiltinError(f"units.parse_bytes: byte unit {unit} not recognized")
    return int(1024**power if "i" in unit else 1000**power)
