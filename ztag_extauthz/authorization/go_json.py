"""JSON as Go's decoder reads it with `UseNumber`: strict, the last of two equal names wins, numbers stay exact."""

import json
import re
from decimal import Decimal
from typing import Any, Final, NoReturn

from ztag_extauthz.authorization.parse_error import ParseError

_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_LONG_INTEGER: Final = re.compile(r"[0-9]{4000}")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_decode: Final = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse).decode
_decode_long: Final = json.JSONDecoder(parse_float=Decimal, parse_int=Decimal, parse_constant=_refuse).decode


def loads(document: str) -> Any:
    """Return a document with `int` and `Decimal` for its numbers; raises `ParseError`.

    Nesting is bounded by the interpreter's recursion limit (Go: 10,000 levels).
    """
    try:
        # Python bounds the digits of an int (its conversion is quadratic); Go keeps the text of any number.
        value = _decode_long(document) if _LONG_INTEGER.search(document) else _decode(document)
    except (ValueError, ArithmeticError):
        raise ParseError("the body is not valid JSON") from None
    except RecursionError:
        raise ParseError("the body is nested too deeply") from None
    return _without_surrogates(value) if _SURROGATE_ESCAPE.search(document) else value


def _without_surrogates(value: Any) -> Any:
    """Put U+FFFD for half a surrogate pair, as Go does: it is no character."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(name): _without_surrogates(item) for name, item in value.items()}
    return value
