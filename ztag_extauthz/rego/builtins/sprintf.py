"""`sprintf`: Go's formats over Rego's values."""

from collections.abc import Callable, Sequence
from typing import Any

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


def _specialise(arguments: Sequence[Value]) -> Callable[..., Any] | None:
    """Join by `+` what is only text and plain `%s`, `%d`, `%v`."""
    template = arguments[0]
    if template.__class__ is not str or "%" not in template or arguments[1] is not NOT_CONSTANT:
        return None
    pieces = template.replace("%s", "\0").replace("%v", "\0").split("\0")
    if "\0" in template or "%" in "".join(pieces):
        return None

    def plain(values: Value) -> Value:
        if values.__class__ is list and len(values) == len(pieces) - 1:
            for value in values:
                if value.__class__ is not str:
                    break
            else:
                return _woven(pieces, values)
        return go_sprintf(template, values)

    return plain


def _woven(pieces: list[str], values: list[str]) -> str:
    text = pieces[0] + "".join([value + piece for value, piece in zip(values, pieces[1:], strict=True)])
    check_size(len(text))
    return text


@builtin("sprintf", specialise=_specialise)
def go_sprintf(template: Value, values: Value) -> Value:
    text = sprintf(string(template, 1), [_argument(value) for value in array(values, 2)])
    check_size(len(text))
    return text
