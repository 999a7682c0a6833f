"""Go's `strconv.FormatFloat`, and what the verbs of `fmt` make of a float."""

import math
from typing import Final

from ztag_extauthz.rego.documents import parse_number
from ztag_extauthz.rego.values import Number

_HEXADECIMAL: Final = "0123456789abcdef"


def format_float(value: float, verb: str, precision: int = -1) -> str:
    """Print a float as `strconv.FormatFloat(value, verb, precision, 64)` does; -1: the fewest digits."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("-Inf" if value < 0 else "+Inf")
    lower = verb.lower()
    if lower == "b":
        return _binary(value)
    if lower == "x":
        text = _hexadecimal(value, precision)
    elif precision < 0:
        text = _shortest(value, lower)
    else:
        text = format(value, f".{precision}{lower}")
    return text.upper() if verb.isupper() else text


def json_float(value: float) -> int | Number:
    """Give the number that Go's JSON encoder writes for a finite float."""
    plain = value == 0 or 1e-6 <= abs(value) < 1e21
    return parse_number(format_float(value, "f" if plain else "e").replace("e-0", "e-"))


def shortest_digits(value: float) -> tuple[str, int]:
    """Give the fewest significant digits that read back as this float, and where the point stands."""
    mantissa, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    return digits.rstrip("0") or "0", point if digits else 1


def _shortest(value: float, verb: str) -> str:
    sign = "-" if math.copysign(1, value) < 0 else ""
    digits, point = shortest_digits(value)
    if verb == "e" or (verb == "g" and not -4 <= point - 1 < 6):
        return sign + _scientific(digits, point - 1 if value else 0)
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    fraction = digits[point:]
    return sign + digits[:point].ljust(point, "0") + (f".{fraction}" if fraction else "")


def _scientific(digits: str, exponent: int) -> str:
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _binary(value: float) -> str:
    mantissa, exponent = math.frexp(value)
    return f"{int(mantissa * (1 << 53))}p{exponent - 53:+d}"


def _hexadecimal(value: float, precision: int) -> str:
    sign = "-" if math.copysign(1, value) < 0 else ""
    mantissa, exponent = math.frexp(abs(value))
    bits = int(mantissa * (1 << 61))  # 1 bit before the point, 60 after it
    if 0 <= precision < 15:
        bits = _rounded(bits, 4 * (15 - precision))
        if bits >> 61:
            bits, exponent = bits >> 1, exponent + 1
    digits = f"{bits & ((1 << 60) - 1):015x}"
    digits = digits.rstrip("0") if precision < 0 else digits[:precision].ljust(precision, "0")
    shown = exponent - 1 if bits else 0
    return f"{sign}0x{bits >> 60}{'.' if digits else ''}{digits}p{'-' if shown < 0 else '+'}{abs(shown):02d}"


def _rounded(bits: int, dropped: int) -> int:
    rest = bits & ((1 << dropped) - 1)
    half = 1 << (dropped - 1)
    bits >>= dropped
    if rest > half or (rest == half and bits & 1):
        bits += 1
    return bits << dropped
