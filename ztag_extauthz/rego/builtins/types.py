"""Types and casts."""

import re
from decimal import InvalidOperation
from typing import Final

from ztag_extauthz.rego.builtins.golang import bigfloat
from ztag_extauthz.rego.builtins.interface import builtin, type_error
from ztag_extauthz.rego.builtins.numbers import MAX_DIGITS
from ztag_extauthz.rego.documents import parse_number
from ztag_extauthz.rego.errors import BuiltinError
from ztag_extauthz.rego.values import Number, Value, is_number
from ztag_extauthz.rego.values import type_name as name_of_type

_FLOAT: Final = re.compile(r"([+-]?)(?=\.?\d)(\d*)(?:\.(\d*))?([eE][+-]?\d+)?", re.ASCII)
_UNDERSCORE: Final = re.compile(r"(?<=[0-9])_(?=[0-9])")
_DIGITS: Final = "(?:_?[0-9a-fA-F])"
_HEXADECIMAL: Final = re.compile(
    rf"([+-]?)0[xX](?=[._]*[0-9a-fA-F])({_DIGITS}*)(?:\.((?:[0-9a-fA-F]{_DIGITS}*)?))?[pP]([+-]?[0-9](?:_?[0-9])*)"
)
_FAR: Final = 4_000
_FAR_BITS: Final = 13_000
_FLOAT64_BITS: Final = 1024
_FLOAT64_LIMIT: Final = Number("1.797693134862315807937e308")


@builtin("type_name")
def type_name(value: Value) -> Value:
    return name_of_type(value)


@builtin("is_null")
def is_null(value: Value) -> Value:
    return value is None


@builtin("is_boolean")
def is_boolean(value: Value) -> Value:
    return value.__class__ is bool


@builtin("is_number")
def is_numeric(value: Value) -> Value:
    return is_number(value)


@builtin("is_string")
def is_string(value: Value) -> Value:
    return value.__class__ is str


@builtin("is_array")
def is_array(value: Value) -> Value:
    return value.__class__ is list


@builtin("is_object")
def is_object(value: Value) -> Value:
    return value.__class__ is dict


@builtin("is_set")
def is_set(value: Value) -> Value:
    return value.__class__ is frozenset


@builtin("to_number")
def to_number(value: Value) -> Value:
    if value is None or value.__class__ is bool:
        return int(bool(value))
    if is_number(value):
        return value
    if value.__class__ is str:
        return _parsed(value)
    raise type_error(1, value, "null", "boolean", "number", "string")


def _parsed(text: str) -> int | Number:
    """Read a number as Go's `ParseFloat` does.

    OPA keeps the text as it is: it calculates with `+5` and `.5`, but cannot print them. Here they are
    written as JSON writes them, hexadecimal ones and `1_000` in decimal. What is far too long to calculate with
    is no number, although OPA would take it.
    """
    if len(text) > MAX_DIGITS:
        raise BuiltinError("strconv.ParseFloat: too many digits")
    hexadecimal = _HEXADECIMAL.fullmatch(text)
    if hexadecimal is not None:
        return _from_hexadecimal(*hexadecimal.groups())
    match = _FLOAT.fullmatch(_UNDERSCORE.sub("", text))
    if match is None:
        raise BuiltinError(f'strconv.ParseFloat: parsing "{text}": invalid syntax')
    sign, digits, fraction, exponent = match.groups()
    plain = (sign if sign == "-" else "") + (digits.lstrip("0") or "0")
    plain += ("." + fraction if fraction else "") + (exponent or "")
    try:
        value = parse_number(plain)
    except (InvalidOperation, ValueError):
        raise BuiltinError("number too big") from None
    if Number(plain).copy_abs() >= _FLOAT64_LIMIT or (value and Number(plain).adjusted() < -_FAR):
        raise BuiltinError(f'strconv.ParseFloat: parsing "{text}": value out of range')
    return value


def _from_hexadecimal(sign: str, digits: str, fraction: str | None, exponent: str) -> int | Number:
    fraction = (fraction or "").replace("_", "")
    mantissa = int(digits.replace("_", "") + fraction, 16)
    if len(exponent) > len(str(_FAR_BITS)) + 1:
        raise BuiltinError("strconv.ParseFloat: value out of range")
    shift = int(exponent) - 4 * len(fraction)
    if mantissa and not -_FAR_BITS < shift + mantissa.bit_length() <= _FLOAT64_BITS:
        raise BuiltinError("strconv.ParseFloat: value out of range")
    if shift >= 0:
        return -(mantissa << shift) if sign == "-" else mantissa << shift
    scaled = bigfloat.multiply(bigfloat.from_int(mantissa), bigfloat.BigFloat(sign == "-", 1, shift))
    return parse_number(bigfloat.text(scaled))
