"""Arithmetic, ranges, bits and dice.

Rule 1: integers of any size are exact, also those written `1.0` or `1e3`.
Rule 2: anything else is calculated as OPA calculates it, as a float of 64 bits (`golang/bigfloat.py`).
"""

from collections.abc import Callable
from typing import Final

from ztag_extauthz.rego.builtins.golang import bigfloat
from ztag_extauthz.rego.builtins.golang.bigfloat import BigFloat
from ztag_extauthz.rego.builtins.interface import Context, builtin, check_size, integer, number, string, type_error
from ztag_extauthz.rego.documents import parse_number
from ztag_extauthz.rego.errors import BuiltinError, OperandError
from ztag_extauthz.rego.pace import spend, spend_text
from ztag_extauthz.rego.values import Number, Value

# Python prints no integer of more than 4,300 digits, and OPA has limits of its own further out.
MAX_DIGITS: Final = 4_000
MAX_BITS: Final = 13_000
BITS: Final = 64
"""So many bits count as an element of a container."""
_SMALL: Final = 1 << 63
_UINT64: Final = (1 << 64) - 1


def to_float(value: int | Number) -> BigFloat:
    if value.__class__ is int:
        spend(value.bit_length() // BITS)
        return bigfloat.from_int(value)
    text = _within_range(value).text  # type: ignore[arg-type]
    spend_text(len(text) * BITS)
    parsed = bigfloat.parse(text)
    if parsed is None:
        raise BuiltinError("illegal value")
    return parsed


def from_float(value: BigFloat) -> int | Number:
    check_size(abs(value.exponent), MAX_BITS)
    return parse_number(bigfloat.text(value))


def _within_range(value: Number) -> Number:
    check_size(max(abs(value.adjusted()), len(value.text)) if value else 0, MAX_DIGITS)
    return value


def whole(value: int | Number) -> int | None:
    """Give the integer that a number is, however it is written; None where it has a fraction."""
    if value.__class__ is int:
        return value
    exact = _within_range(value)  # type: ignore[arg-type]
    numerator, denominator = exact.as_integer_ratio()
    return numerator if denominator == 1 else None


def big_integer(value: Value, position: int) -> int:
    """Give an integer as OPA's functions on big integers read one: `1.0` is 1."""
    if value.__class__ is int:
        return value
    if value.__class__ is not Number:
        raise type_error(position, value, "integer")
    exact = whole(value)
    if exact is None:
        raise OperandError(f"operand {position} must be integer number but got floating-point number")
    return exact


def _both_whole(left: int | Number, right: int | Number) -> tuple[int, int] | None:
    ours, theirs = whole(left), whole(right)
    return None if ours is None or theirs is None else (ours, theirs)


def _calculate(
    left: Value,
    right: Value,
    exact: Callable[[int, int], int],
    inexact: Callable[[BigFloat, BigFloat], BigFloat],
) -> Value:
    left, right = number(left, 1), number(right, 2)
    integers = _both_whole(left, right)
    if integers is not None:
        result = exact(*integers)
        check_size(result.bit_length(), MAX_BITS)
        return result
    return from_float(inexact(to_float(left), to_float(right)))


@builtin("plus")
def plus(left: Value, right: Value) -> Value:
    if left.__class__ is int and right.__class__ is int:
        return left + right
    return _calculate(left, right, int.__add__, bigfloat.add)


@builtin("minus")
def minus(left: Value, right: Value) -> Value:
    if left.__class__ is int and right.__class__ is int:
        return left - right
    if left.__class__ is frozenset and right.__class__ is frozenset:
        return left - right
    if left.__class__ is frozenset or right.__class__ is frozenset:
        _refuse_mixed(left, right)
    return _calculate(left, right, int.__sub__, bigfloat.subtract)


def _refuse_mixed(left: Value, right: Value) -> None:
    if left.__class__ is not frozenset and left.__class__ not in (int, Number):
        raise type_error(1, left, "number", "set")
    raise type_error(2, right, "set" if right.__class__ in (int, Number) else "number")


@builtin("mul")
def multiply(left: Value, right: Value) -> Value:
    if left.__class__ is int and right.__class__ is int:
        result = left * right
        check_size(result.bit_length(), MAX_BITS)
        return result
    return _calculate(left, right, int.__mul__, bigfloat.multiply)


@builtin("div")
def divide(left: Value, right: Value) -> Value:
    left, right = number(left, 1), number(right, 2)
    if right == 0:
        raise BuiltinError("divide by zero")
    if left.__class__ is int and right.__class__ is int and left and -_SMALL < left < _SMALL:
        quotient, rest = divmod(left, right)
        if not rest:
            return quotient
    return from_float(bigfloat.divide(to_float(left), to_float(right)))


@builtin("rem")
def remainder(left: Value, right: Value) -> Value:
    integers = _both_whole(number(left, 1), number(right, 2))
    if integers is None:
        raise BuiltinError("modulo on floating-point number")
    dividend, divisor = integers
    if not divisor:
        raise BuiltinError("modulo by zero")
    rest = abs(dividend) % abs(divisor)  # Go's remainder has the dividend's sign
    return -rest if dividend < 0 else rest


def _whole(value: Value, cut: Callable[[BigFloat], int]) -> Value:
    if value.__class__ is int and -_SMALL < value < _SMALL:
        return value
    return cut(to_float(number(value, 1)))


@builtin("abs")
def absolute(value: Value) -> Value:
    if value.__class__ is int and -_SMALL < value < _SMALL:
        return abs(value)
    return from_float(to_float(number(value, 1))._replace(negative=False))


@builtin("round")
def rounded(value: Value) -> Value:
    return _whole(value, lambda exact: bigfloat.add(exact, BigFloat(exact.negative, 1 << 63, -64)).truncate())


@builtin("ceil")
def ceiling(value: Value) -> Value:
    """Round up; between -1 and 0 OPA gives 1, for it asks the truncated value for its sign, and 0 has none."""
    return _whole(value, lambda exact: exact.truncate() + (not exact.is_integer and exact.truncate() >= 0))


@builtin("floor")
def floor(value: Value) -> Value:
    """Round down; between -1 and 0 OPA gives 0, see `ceil`."""
    return _whole(value, lambda exact: exact.truncate() - (not exact.is_integer and exact.truncate() < 0))


@builtin("numbers.range", context=True)
def numbers_range(context: Context, start: Value, stop: Value) -> Value:
    return _range(context, big_integer(start, 1), big_integer(stop, 2), 1)


@builtin("numbers.range_step", context=True)
def numbers_range_step(context: Context, start: Value, stop: Value, step: Value) -> Value:
    first, last, stride = big_integer(start, 1), big_integer(stop, 2), big_integer(step, 3)
    if stride <= 0:
        raise BuiltinError("numbers.range_step: step must be a positive integer")
    return _range(context, first, last, stride)


def _range(context: Context, start: int, stop: int, step: int) -> list[Value]:
    check_size(abs(stop - start) // step + 1)
    context.check()
    return list(range(start, stop + 1, step) if start <= stop else range(start, stop - 1, -step))


@builtin("bits.and")
def bits_and(left: Value, right: Value) -> Value:
    return big_integer(left, 1) & big_integer(right, 2)


@builtin("bits.or")
def bits_or(left: Value, right: Value) -> Value:
    return big_integer(left, 1) | big_integer(right, 2)


@builtin("bits.xor")
def bits_xor(left: Value, right: Value) -> Value:
    return big_integer(left, 1) ^ big_integer(right, 2)


@builtin("bits.negate")
def bits_negate(value: Value) -> Value:
    return ~big_integer(value, 1)


def _shift(value: Value) -> int:
    shift = big_integer(value, 2)
    if shift < 0:
        raise OperandError("operand 2 must be an unsigned integer number but got a negative integer")
    return shift & _UINT64  # OPA looks at the low 64 bits alone


@builtin("bits.lsh")
def bits_left(value: Value, shift: Value) -> Value:
    bits, places = big_integer(value, 1), _shift(shift)
    check_size(bits.bit_length() + places if bits else 0, MAX_BITS)
    return bits << places if bits else 0


@builtin("bits.rsh")
def bits_right(value: Value, shift: Value) -> Value:
    bits, places = big_integer(value, 1), _shift(shift)
    return bits >> min(places, bits.bit_length() + 1)


@builtin("rand.intn", context=True)
def random_integer(context: Context, name: Value, limit: Value) -> Value:
    """Throw the same dice once: the name and the limit decide which ones they are."""
    name, limit = string(name, 1), abs(integer(limit, 2))
    if not limit:
        return 0
    key = ("rand.intn", name, limit)
    if key not in context.cache:
        context.cache[key] = context.random.randrange(limit)
    return context.cache[key]
