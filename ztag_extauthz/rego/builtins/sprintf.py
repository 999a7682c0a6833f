"""`sprintf`: Go's formats over Rego's values."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from ztag_extauthz.rego.builtins.golang.printf import sprintf
from ztag_extauthz.rego.builtins.golang.verbs import Argument
from ztag_extauthz.rego.builtins.interface import NOT_CONSTANT, array, builtin, check_size, string
from ztag_extauthz.rego.builtins.terms import term_text
from ztag_extauthz.rego.values import Number, Value


def _argument(value: Value) -> Argument:
    """Give what OPA hands to Go: `1.0` is a float there, and what fits into no float is its text."""
    kind = value.__class__
    if kind is int or kind is str:
        return value  # type: ignore[no-any-return]
    if kind is not Number:
        return term_text(value)
    if not any(mark in value.text for mark in ".eE"):
        return int(value)
    number = float(value)
    return value.text if abs(number) == float("inf") else number


_PLAIN: Final = re.compile(r"%([sdv])")
_KINDS: Final = {"s": (str,), "d": (int,), "v": (str, int)}


def _specialise(arguments: Sequence[Value]) -> Callable[..., Any] | None:
    """Join texts and integers without reading the format again, where it holds only `%s`, `%d` and `%v`."""
    template = arguments[0]
    if template.__class__ is not str or arguments[1] is not NOT_CONSTANT:
        return None
    pieces = _PLAIN.split(template)
    if any("%" in piece for piece in pieces[::2]):
        return None
    kinds = [_KINDS[verb] for verb in pieces[1::2]]
    form = "{}".join(piece.replace("{", "{{").replace("}", "}}") for piece in pieces[::2]).format

    def plain(values: Value) -> Value:
        if values.__class__ is not list or len(values) != len(kinds):
            return go_sprintf(template, values)
        for value, kind in zip(values, kinds, strict=True):
            if value.__class__ not in kind:
                return go_sprintf(template, values)
        text = form(*values)
        check_size(len(text))
        return text

    return plain


@builtin("sprintf", specialise=_specialise)
def go_sprintf(template: Value, values: Value) -> Value:
    text = sprintf(string(template, 1), [_argument(value) for value in array(values, 2)])
    check_size(len(text))
    return text
