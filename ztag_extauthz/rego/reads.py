"""What a decision reads, and the key that stands for it: two inputs with one key have one answer."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from ztag_extauthz.rego.documents import dumps
from ztag_extauthz.rego.values import UNDEFINED, Number, Value

InputPath: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Reads:
    """The parts of the input, of base documents, and the built-ins that a decision can depend on.

    `deep` are paths whose whole value may matter; of those in `exists` only whether they lead somewhere.
    """

    deep: frozenset[InputPath]
    exists: frozenset[InputPath]
    data: frozenset[tuple[str, ...]]
    impure: frozenset[str]

    @property
    def cacheable(self) -> bool:
        """Tell whether the answer is a function of input and data alone."""
        return not self.impure

    @property
    def whole_input(self) -> bool:
        return () in self.deep

    def key(self, document: Value) -> tuple[Any, ...]:
        """Give what the decision sees of an input, fit for a dictionary."""
        seen = [_freeze(_follow(document, path)) for path in sorted(self.deep, key=repr)]
        found = [_existence(document, path) for path in sorted(self.exists, key=repr)]
        return (*seen, *found)


UNKNOWN: Final = Reads(frozenset([()]), frozenset(), frozenset([()]), frozenset(["(not followed)"]))
"""Stands for anything: what it describes is not to be remembered."""


def normalised(
    deep: Iterable[InputPath],
    exists: Iterable[InputPath],
    data: Iterable[tuple[str, ...]],
    impure: Iterable[str],
) -> Reads:
    """Leave out what is covered by something else."""
    whole = _shortest(deep)
    partial = {path for path in exists if not _covered(path, whole)}
    # Where a path breaks says too whether its beginnings lead somewhere.
    longer = {path[:length] for path in whole | partial for length in range(len(path))}
    return Reads(frozenset(whole), frozenset(partial - longer), frozenset(_shortest(data)), frozenset(impure))


def _shortest(paths: Iterable[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
    known = set(paths)
    return {path for path in known if not any(path[:length] in known for length in range(len(path)))}


def _covered(path: InputPath, whole: set[InputPath]) -> bool:
    return any(path[:length] in whole for length in range(len(path) + 1))


class _Broken:
    """Where a path leads nowhere: at which step, and whether there is a collection that lacks the key."""

    __slots__ = ("depth", "kind")

    def __init__(self, depth: int, kind: str) -> None:
        self.depth = depth
        self.kind = kind


def _follow(value: Value, path: InputPath) -> Value:
    if value is UNDEFINED:
        return _Broken(-1, "")
    for depth, part in enumerate(path):
        kind = value.__class__
        if (kind is dict and part in value and part.__class__ is str) or (
            kind is list and part.__class__ is int and part < len(value)
        ):
            value = value[part]
        else:
            return _Broken(depth, kind.__name__)
    return value


def _freeze(value: Value) -> Any:
    kind = value.__class__
    if kind is str or value is None:
        return value
    if kind is _Broken:
        return (value.depth, value.kind)
    if kind is Number:
        return ("number", value.text)
    if kind is bool or kind is int:
        return (kind.__name__, value)
    return ("json", dumps(value, escape_html=False))


def _existence(document: Value, path: InputPath) -> Any:
    found = _follow(document, path)
    if found.__class__ is _Broken:
        return (found.depth, found.kind)
    return found.__class__.__name__
