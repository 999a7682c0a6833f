"""What the verbs of Go's `fmt` print of integers, floats and strings."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from ztag_extauthz.rego.builtins.golang.floats import format_float
from ztag_extauthz.rego.builtins.golang.quote import can_backquote, quoted
from ztag_extauthz.rego.builtins.golang.text import to_bytes
from ztag_extauthz.rego.errors import EvaluationError

Argument: TypeAlias = int | float | str

_RADIX: Final = {"d": "d", "v": "d", "b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}
_BIG_RADIX: Final = {"d": "d", "v": "d", "s": "d", "b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}
_PREFIX: Final = {"b": "0b", "x": "0x", "X": "0X"}
_LAST_RUNE: Final = 0x10FFFF


@dataclass
class Flags:
    sharp: bool = False
    zero: bool = False
    plus: bool = False
    minus: bool = False
    space: bool = False
    sharp_v: bool = False
    plus_v: bool = False
    width: int | None = None
    precision: int | None = None

    def go_syntax(self) -> None:
        self.sharp_v, self.plus_v, self.sharp, self.plus = self.sharp, self.plus, False, False

    def pad(self, text: str, *, zero: bool | None = None) -> str:
        zeros = self.zero if zero is None else zero
        if not self.width:
            return text
        if self.minus:
            return text.ljust(self.width)
        return text.rjust(self.width, "0" if zeros else " ")

    def sign(self, *, negative: bool) -> str:
        if negative:
            return "-"
        return "+" if self.plus else " " if self.space else ""


def go_type(value: Argument) -> str:
    """Give the Go type of an argument: OPA passes big integers by pointer."""
    if isinstance(value, int):
        return "int64" if -(1 << 63) <= value < 1 << 63 else "*big.Int"
    return "float64" if isinstance(value, float) else "string"


def print_argument(value: Argument, verb: str, flags: Flags) -> str:
    kind = go_type(value)
    if verb == "T":
        return _string(kind, "s", flags) or ""
    if verb in "pw" and kind == "*big.Int":
        raise EvaluationError("eval_unsupported_error", f"sprintf: %{verb} of a big integer shows Go's memory")
    printed = _PRINTERS[kind](value, verb, flags)
    return f"%!{verb}({kind}={print_argument(value, 'v', flags)})" if printed is None else printed


def _integer(value: int, verb: str, flags: Flags) -> str | None:
    if verb == "c":
        return flags.pad(_rune(value))
    if verb == "q":
        return flags.pad(quoted(_rune(value), quote="'", ascii_only=flags.plus))
    if verb == "U":
        return _unicode(value, flags)
    if verb not in _RADIX:
        return None
    if flags.precision == 0 and value == 0:
        return " " * (flags.width or 0)
    digits = format(abs(value), _RADIX[verb]).rjust(_integer_digits(value, flags), "0")
    return flags.pad(flags.sign(negative=value < 0) + _prefix(digits, verb, flags) + digits, zero=False)


def _integer_digits(value: int, flags: Flags) -> int:
    """Tell how many digits are asked for, by a precision or by zeros in front."""
    if flags.precision is not None:
        return flags.precision
    if flags.zero and not flags.minus and flags.width is not None:
        return flags.width - (1 if value < 0 or flags.plus or flags.space else 0)
    return 0


def _prefix(digits: str, verb: str, flags: Flags) -> str:
    prefix = ""
    if flags.sharp:
        prefix = _PREFIX.get(verb, "0" if verb in "oO" and digits[0] != "0" else "")
    return f"0o{prefix}" if verb == "O" else prefix


def _rune(value: int) -> str:
    valid = 0 <= value <= _LAST_RUNE and not 0xD800 <= value < 0xE000
    return chr(value) if valid else "\ufffd"


def _unicode(value: int, flags: Flags) -> str:
    digits = f"{value & ((1 << 64) - 1):X}".rjust(max(flags.precision or 4, 4), "0")
    shown = flags.sharp and 0 <= value <= _LAST_RUNE and chr(value).isprintable()
    return flags.pad(f"U+{digits}" + (f" '{chr(value)}'" if shown else ""), zero=False)


def _big(value: int, verb: str, flags: Flags) -> str | None:
    if verb not in _BIG_RADIX:
        return f"%!{verb}(big.Int={value})"
    digits = format(abs(value), _BIG_RADIX[verb])
    prefix = "0o" if verb == "O" else ""
    if flags.sharp or flags.sharp_v:
        prefix = _PREFIX.get(verb, "0" if verb == "o" else prefix)
    sign = "-" if value < 0 else "+" if flags.plus or flags.plus_v else " " if flags.space else ""
    digits = digits.rjust(flags.precision or 0, "0")
    missing = (flags.width or 0) - len(sign + prefix + digits)
    if flags.zero and not flags.minus and flags.precision is None and missing > 0:
        digits = digits.rjust(len(digits) + missing, "0")
    return flags.pad(sign + prefix + digits, zero=False)


def _float(value: float, verb: str, flags: Flags) -> str | None:
    if verb not in "vbgGxXfFeE":
        return None
    standard = 6 if verb in "fFeE" else -1
    form = {"v": "g", "F": "f"}.get(verb, verb)
    precision = standard if flags.precision is None else flags.precision
    number = format_float(value, form, precision).lstrip("+")
    negative = number.startswith("-")
    digits = number.lstrip("-")
    if flags.sharp and form != "b":
        digits = _with_point(digits, form, precision)
    sign = flags.sign(negative=negative)
    if flags.zero and sign and not flags.minus and flags.width is not None:
        return sign + digits.rjust(flags.width - 1, "0")
    return flags.pad(sign + digits)


def _with_point(number: str, verb: str, precision: int) -> str:
    """Keep the point and the zeros behind it, as the `#` flag asks."""
    mark = "p" if verb in "xX" else "e"
    place = number.lower().find(mark)
    body, tail = (number, "") if place < 0 else (number[:place], number[place:])
    wanted = 0
    if verb in "gGx":
        wanted = 6 if precision < 0 else precision
    significant = body.replace(".", "").lstrip("0")
    wanted -= len(significant)
    if "." not in body:
        wanted -= body == "0"
        body += "."
    return body + "0" * max(wanted, 0) + tail


def _string(value: str, verb: str, flags: Flags) -> str | None:
    if verb in "xX":
        return _hexadecimal(value, flags, upper=verb == "X")
    text = value if flags.precision is None else value[: flags.precision]
    if verb == "q" or (verb == "v" and flags.sharp_v):
        if flags.sharp and can_backquote(text):
            return flags.pad(f"`{text}`")
        return flags.pad(quoted(text, ascii_only=flags.plus))
    return flags.pad(text) if verb in "sv" else None


def _hexadecimal(value: str, flags: Flags, *, upper: bool) -> str:
    data = to_bytes(value)[: flags.precision]
    prefix = "0x" if flags.sharp and data else ""
    text = prefix + (data.hex(" ").replace(" ", f" {prefix}") if flags.space else data.hex())
    return flags.pad(text.upper() if upper else text)


_PRINTERS: Final[dict[str, Callable[..., str | None]]] = {
    "int64": _integer,
    "*big.Int": _big,
    "float64": _float,
    "string": _string,
}
