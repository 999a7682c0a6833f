"""`glob.match` and `glob.quote_meta`."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

from ztag_extauthz.rego.builtins.globs.matcher import MAX_LENGTH, Matcher, compile_glob
from ztag_extauthz.rego.builtins.globs.pattern import GlobError
from ztag_extauthz.rego.builtins.interface import (
    NOT_CONSTANT,
    builtin,
    element_error,
    string,
    type_error,
)
from ztag_extauthz.rego.errors import BuiltinError, OperandError
from ztag_extauthz.rego.pace import spend
from ztag_extauthz.rego.values import Value

_DEFAULT_SEPARATORS: Final = (".",)
_SPECIAL: Final = str.maketrans({character: f"\\{character}" for character in "*?\\[]{}"})


@lru_cache(maxsize=1024)
def _compiled(pattern: str, separators: tuple[str, ...]) -> Matcher | GlobError:
    try:
        return compile_glob(pattern, separators)
    except GlobError as error:
        return error


def _matcher(pattern: str, separators: tuple[str, ...]) -> Matcher:
    if len(pattern) > MAX_LENGTH:
        raise BuiltinError("glob: the pattern is too long")
    spend(len(pattern))
    compiled = _compiled(pattern, separators)
    if isinstance(compiled, GlobError):
        raise BuiltinError(f"glob: {compiled}")
    return compiled


def _separators(value: Value) -> tuple[str, ...]:
    """Read the separators: null is none, and none at all is the dot."""
    if value is None:
        return ()
    if value.__class__ is not list:
        raise type_error(2, value, "array", "null")
    for item in value:
        if item.__class__ is not str:
            raise element_error(2, value, item, "string")
        if len(item) != 1:
            raise element_error(2, value, item, "rune")
    return tuple(value) or _DEFAULT_SEPARATORS


def _specialise(arguments: Sequence[Value]) -> Callable[..., Any] | None:
    """Compile a constant pattern once, when the policy is loaded."""
    pattern, separators, text = arguments
    if NOT_CONSTANT in (pattern, separators) or text is not NOT_CONSTANT:
        return None
    try:
        matcher = _matcher(string(pattern, 1), _separators(separators))
    except (BuiltinError, OperandError):
        return None
    return lambda text: matcher(text if text.__class__ is str else string(text, 3))


@builtin("glob.match", specialise=_specialise)
def match(pattern: Value, separators: Value, text: Value) -> Value:
    pattern, runes = string(pattern, 1), _separators(separators)
    return _matcher(pattern, runes)(string(text, 3))


@builtin("glob.quote_meta")
def quote_meta(text: Value) -> Value:
    return string(text, 1).translate(_SPECIAL)
