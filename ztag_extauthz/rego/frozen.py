"""What a path finds in a document, and values as one may look them up by: hashable, and no two alike.

Whatever a policy can tell apart stays apart: `1` from `true` and from `1.0`, null from nothing, an array from a set,
`{}` from where a path breaks. Objects with their members in another order may stay apart too, which costs a repetition
and nothing else.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from ztag_extauthz.rego.values import UNDEFINED, Number, Value, members, unkey

InputPath: TypeAlias = tuple[str | int, ...]
Frozen: TypeAlias = Any
"""Null, a string, or a tuple whose first member says what it is."""

_MACHINE: Final = 1 << 63


class Broken(NamedTuple):
    """Where a path leads nowhere: at which step, and what there is that lacks the key."""

    depth: int
    kind: str
    """The name of its class; "" where there is no document at all."""


def follow(value: Value, path: InputPath) -> Value | Broken:
    """Return what a path leads to in a document."""
    if value is UNDEFINED:
        return Broken(-1, "")
    for depth, part in enumerate(path):
        kind = value.__class__
        if (kind is dict and part in value and part.__class__ is str) or (
            kind is list and part.__class__ is int and part < len(value)
        ):
            value = value[part]
        else:
            return Broken(depth, kind.__name__)
    return value


def freeze(value: Value | Broken) -> Frozen:
    """Return what stands for a value, or for its absence, in a key."""
    write = _WRITERS.get(value.__class__)
    return value if write is None else write(value)


def _integer(value: int) -> Frozen:
    # Long ones in hexadecimal: a machine's integer is what encoders take, and Python bounds the decimal digits.
    return ("int", value if -_MACHINE <= value < _MACHINE else hex(value))


def _object(value: dict[Any, Value]) -> Frozen:
    return ("dict", *(freeze(part) for form, member in value.items() for part in (unkey(form), member)))


_WRITERS: Final[Mapping[type, Callable[[Any], Frozen]]] = {
    bool: lambda value: ("bool", value),
    int: _integer,
    Number: lambda value: ("number", value.text),
    list: lambda value: ("list", *map(freeze, value)),
    dict: _object,
    frozenset: lambda value: ("set", *map(freeze, members(value))),
}
"""By class; null, strings and `Broken` stand for themselves."""


def freeze_kind(value: Value | Broken) -> Frozen:
    """Return what stands for the fact that something is there, and of which kind."""
    return value if value.__class__ is Broken else ("kind", value.__class__.__name__)
