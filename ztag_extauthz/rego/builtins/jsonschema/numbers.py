"""Numbers as the library reads and writes them."""

from decimal import Decimal
from fractions import Fraction

from ztag_extauthz.rego.builtins.golang.floats import json_float
from ztag_extauthz.rego.documents import dumps
from ztag_extauthz.rego.errors import EvaluationError
from ztag_extauthz.rego.values import Number, Value, is_number


def unsupported(what: str) -> EvaluationError:
    return EvaluationError("eval_unsupported_error", f"JSON Schema: {what} is not supported")


def rational(value: Value) -> Fraction | None:
    """Give the exact number, or None for what is none."""
    return Fraction(value) if is_number(value) else None


def integer(value: Value) -> int | None:
    """Give an integer that is written as one and fits into the machine's."""
    if value.__class__ is Number and value.text == "-0":
        return 0
    return value if value.__class__ is int and -(1 << 63) <= value < 1 << 63 else None


def shown(number: Fraction) -> str:
    """Write a number as Go writes a `big.Float` of it; more digits than such a one has for sure are not supported."""
    negative, digits, exponent = _decimal(number)
    point = len(digits) + exponent
    if not -4 <= point - 1 < 6:
        fraction = f".{digits[1:]}" if digits[1:] else ""
        text = f"{digits[0]}{fraction}e{point - 1:+03}"
    elif point <= 0:
        text = f"0.{'0' * -point}{digits}"
    else:
        text = digits.ljust(point, "0")[:point] + (f".{digits[point:]}" if digits[point:] else "")
    return f"-{text}" if negative else text


def _decimal(number: Fraction) -> tuple[bool, str, int]:
    """Give sign, digits without zeros at the end, and exponent of ten."""
    if number == 0:
        return False, "0", 0
    exact = Decimal(number.numerator) / Decimal(number.denominator)
    if Fraction(exact) != number:
        raise unsupported("a limit of so many digits")
    sign, digits, exponent = exact.normalize().as_tuple()
    if len(digits) > 19 or not isinstance(exponent, int):
        raise unsupported("a limit of so many digits")
    return bool(sign), "".join(map(str, digits)), exponent


def canonical(value: Value) -> str:
    """Write a value as JSON with every number as a float of 64 bits: what equals another one is written like it."""
    return dumps(_as_floats(value))


def _as_floats(value: Value) -> Value:
    if value.__class__ is list:
        return [_as_floats(member) for member in value]
    if value.__class__ is dict:
        return {name: _as_floats(member) for name, member in value.items()}
    return _as_float(value) if is_number(value) else value


def _as_float(value: Value) -> int | Number:
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if abs(number) == float("inf"):
        raise unsupported("a number beyond a double")
    return json_float(number)
