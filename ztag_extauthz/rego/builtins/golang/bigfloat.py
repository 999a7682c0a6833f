"""Go's `big.Float` at its default precision, 64 bits of mantissa: the numbers that OPA calculates with.

OPA keeps a number as the text it was written as, and adds, multiplies and divides whatever is not an
integer as a 64-bit float, rounded to nearest even. That is why `0.1 + 0.2 == 0.3` holds there: the sum is
printed with the fewest digits that read back as the same float.

Rule 1: a `BigFloat` is `(-1)**negative * mantissa * 2**exponent`, its mantissa 0 or as wide as its precision,
        64 bits everywhere but in `product`, which OPA begins with a 1 of 53 bits.
Rule 2: text is read and written as Go does it, with Go's own rounding errors for far exponents.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NamedTuple

PRECISION = 64
# Reading multiplies by a power of five at this precision, so far exponents round twice, as they do in Go.
_READING = PRECISION + 64
_EXACT_POWERS = 27

_NUMBER = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?", re.ASCII)


class BigFloat(NamedTuple):
    negative: bool
    mantissa: int
    exponent: int

    @property
    def is_integer(self) -> bool:
        if self.exponent >= 0 or not self.mantissa:
            return True
        return self.mantissa & ((1 << -self.exponent) - 1) == 0

    def truncate(self) -> int:
        """Give the integer part, towards zero."""
        whole = self.mantissa << self.exponent if self.exponent >= 0 else self.mantissa >> -self.exponent
        return -whole if self.negative else whole


def _rounded(mantissa: int, exponent: int, precision: int, *, sticky: bool = False) -> tuple[int, int]:
    """Round to nearest even; `sticky` says that the true value lies a little above."""
    surplus = mantissa.bit_length() - precision
    if surplus <= 0:
        return mantissa << -surplus, exponent + surplus
    rest = mantissa & ((1 << surplus) - 1)
    half = 1 << (surplus - 1)
    mantissa >>= surplus
    if rest > half or (rest == half and (sticky or mantissa & 1)):
        mantissa += 1
        if mantissa.bit_length() > precision:
            return mantissa >> 1, exponent + surplus + 1
    return mantissa, exponent + surplus


def _make(value: int, exponent: int, *, negative: bool, sticky: bool = False) -> BigFloat:
    if not value:
        return BigFloat(negative, 0, 0)
    return BigFloat(negative, *_rounded(value, exponent, PRECISION, sticky=sticky))


def from_int(value: int) -> BigFloat:
    return _make(abs(value), 0, negative=value < 0)


def parse(text: str) -> BigFloat | None:
    """Read a decimal number as Go reads it; None where it is none."""
    match = _NUMBER.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        return None
    fraction = match[3] or ""
    digits = int(Decimal(match[2] + fraction))  # a decimal, for `int` reads no more than 4,300 digits
    exponent = int(match[4] or 0) - len(fraction)
    return _scaled(digits, exponent, negative=match[1] == "-")


def _scaled(digits: int, exponent: int, *, negative: bool) -> BigFloat:
    """Make `digits * 10**exponent`: a power of two exactly, a power of five rounded."""
    if not digits or not exponent:
        return _make(digits, 0, negative=negative)
    five, five_exponent = _power_of_five(abs(exponent))
    if exponent > 0:
        return _make(digits * five, exponent + five_exponent, negative=negative)
    value, shift, sticky = _divided(digits, five)
    return _make(value, exponent - five_exponent - shift, negative=negative, sticky=sticky)


def _power_of_five(power: int) -> tuple[int, int]:
    if power <= _EXACT_POWERS:
        return 5**power, 0
    result = _rounded(5**_EXACT_POWERS, 0, _READING)
    factor = (5, 0)
    power -= _EXACT_POWERS
    while power:
        if power & 1:
            result = _rounded(result[0] * factor[0], result[1] + factor[1], _READING)
        factor = _rounded(factor[0] * factor[0], factor[1] * 2, _READING + 64)
        power >>= 1
    return result


def _divided(dividend: int, divisor: int) -> tuple[int, int, bool]:
    """Give enough bits of the quotient, how far it was shifted, and whether anything is left over."""
    shift = max(0, PRECISION + 2 + divisor.bit_length() - dividend.bit_length())
    quotient, rest = divmod(dividend << shift, divisor)
    return quotient, shift, rest != 0


def add(left: BigFloat, right: BigFloat) -> BigFloat:
    if not left.mantissa and not right.mantissa:
        return BigFloat(left.negative and right.negative, 0, 0)
    if not left.mantissa:
        return right
    if not right.mantissa:
        return left
    low = min(left.exponent, right.exponent)
    total = _signed(left) * (1 << (left.exponent - low)) + _signed(right) * (1 << (right.exponent - low))
    return _make(abs(total), low, negative=total < 0)


def negated(value: BigFloat) -> BigFloat:
    return value._replace(negative=not value.negative)


def subtract(left: BigFloat, right: BigFloat) -> BigFloat:
    return add(left, negated(right))


def multiply(left: BigFloat, right: BigFloat, precision: int = PRECISION) -> BigFloat:
    product = left.mantissa * right.mantissa
    negative = left.negative != right.negative
    if not product:
        return BigFloat(negative, 0, 0)
    return BigFloat(negative, *_rounded(product, left.exponent + right.exponent, precision))


def divide(left: BigFloat, right: BigFloat) -> BigFloat:
    negative = left.negative != right.negative
    if not left.mantissa:
        return BigFloat(negative, 0, 0)
    value, shift, sticky = _divided(left.mantissa, right.mantissa)
    return _make(value, left.exponent - right.exponent - shift, negative=negative, sticky=sticky)


def _signed(value: BigFloat) -> int:
    return -value.mantissa if value.negative else value.mantissa


def text(value: BigFloat) -> str:
    """Print with the fewest digits that read back: plain where it is an integer, else as `%g`."""
    sign = "-" if value.negative else ""
    if not value.mantissa:
        return f"{sign}0"
    digits, point = _shortest(value)
    if value.is_integer:
        return sign + digits.ljust(point, "0")
    return sign + _general(digits, point)


def _general(digits: str, point: int) -> str:
    exponent = point - 1
    if not -4 <= exponent < 6:
        tail = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{digits[0]}{tail}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    if point <= 0:
        return f"0.{'0' * -point}{digits}"
    return f"{digits[:point]}.{digits[point:]}" if len(digits) > point else digits.ljust(point, "0")


def _decimal(mantissa: int, exponent: int) -> tuple[str, int]:
    """Give all digits of `mantissa * 2**exponent` without trailing zeros, and where the point stands."""
    if exponent >= 0:
        digits = str(Decimal(mantissa << exponent))
        return digits.rstrip("0"), len(digits)
    digits = str(Decimal(mantissa * 5**-exponent))
    return digits.rstrip("0"), len(digits) + exponent


def _shortest(value: BigFloat) -> tuple[str, int]:
    doubled, exponent = value.mantissa << 1, value.exponent - 1
    digits, point = _decimal(doubled, exponent)
    # Go compares digit by digit without looking at the position of the point; so do we.
    lower, _ = _decimal(doubled - 1, exponent)
    upper, _ = _decimal(doubled + 1, exponent)
    inclusive = not doubled & 2
    for index, digit in enumerate(digits):
        low = lower[index] if index < len(lower) else "0"
        high = upper[index] if index < len(upper) else "0"
        down = low != digit or (inclusive and index + 1 == len(lower))
        up = digit != high and (inclusive or ord(digit) + 1 < ord(high) or index + 1 < len(upper))
        if down or up:
            return _cut(digits, point, index + 1, up=up and (not down or _rounds_up(digits, index + 1)))
    return digits, point


def _rounds_up(digits: str, length: int) -> bool:
    if length >= len(digits):
        return False
    if digits[length] == "5" and length + 1 == len(digits):
        return digits[length - 1] in "13579"
    return digits[length] >= "5"


def _cut(digits: str, point: int, length: int, *, up: bool) -> tuple[str, int]:
    if length >= len(digits):
        return digits, point
    kept = digits[:length]
    if not up:
        return kept.rstrip("0"), point
    raised = str(int(kept) + 1)
    return raised.rstrip("0"), point + len(raised) - len(kept)
