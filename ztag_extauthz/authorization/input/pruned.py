"""The smallest document in which paths find what they found in a larger one."""

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any, Final

from ztag_extauthz.rego.frozen import Broken, InputPath
from ztag_extauthz.rego.values import UNDEFINED, Value

_BLANKS: Final[Mapping[str, Callable[[], Value]]] = {
    "dict": dict,
    "list": list,
    "frozenset": frozenset,
    "str": str,
    "bool": bool,
    "NoneType": lambda: None,
}


def blank(kind: str) -> Value:
    """Return a value of a kind, by the name of its class: an empty one, false, 0."""
    return _BLANKS.get(kind, int)()


def pruned(found: Iterable[tuple[InputPath, Value | Broken]]) -> Value:
    """Return the document; where a path breaks, something of the kind that it broke at.

    What paths of one document found is never at odds; no path may begin with another whose value is given.
    """
    document: Value = {}
    for path, value in found:
        if value.__class__ is Broken:
            if value.depth < 0:
                return UNDEFINED
            path, value = path[: value.depth], blank(value.kind)  # noqa: PLW2901 - it is this that is found
            if _leads_on(document, path):
                continue
        if not path:
            document = value
            continue
        at = document
        for part, after in pairwise(path):
            at = at[part] if at.__class__ is dict and part in at else _enter(at, part, after)
        _put(at, path[-1], value)
    return document


def _leads_on(document: Value, path: InputPath) -> bool:
    """Tell whether something was put there, or below, already."""
    for part in path:
        if isinstance(part, int):
            if part >= len(document) or document[part] is None:
                return False
        elif part not in document:
            return False
        document = document[part]
    return True


def _enter(at: Any, part: str | int, after: str | int) -> Any:
    """Return the member that the way goes on in, a new one where there is none."""
    empty: Value = [] if isinstance(after, int) else {}
    if isinstance(part, str):
        return at.setdefault(part, empty)
    if part >= len(at) or at[part] is None:
        _put(at, part, empty)
    return at[part]


def _put(at: Any, part: str | int, value: Value) -> None:
    if isinstance(part, int):
        # Elements that nobody reads; an array is at least as long as what is read of it.
        at.extend([None] * (part + 1 - len(at)))
    at[part] = value
