"""What a decision reads, and the key that stands for it: two inputs with one key have one answer."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from ztag_extauthz.rego.frozen import InputPath, follow, freeze, freeze_kind
from ztag_extauthz.rego.values import Value


@dataclass(frozen=True, slots=True)
class Reads:
    """The parts of the input, of base documents, and the built-ins that a decision can depend on.

    `deep` are paths whose whole value may matter; of those in `exists` only whether they lead somewhere.
    """

    deep: frozenset[InputPath]
    exists: frozenset[InputPath]
    data: frozenset[tuple[str, ...]]
    impure: frozenset[str]
    rules: frozenset[tuple[str, ...]] = frozenset()
    """Paths below `data` of the rules that it may evaluate."""

    @property
    def cacheable(self) -> bool:
        """Tell whether the answer is a function of input and data alone."""
        return not self.impure

    @property
    def whole_input(self) -> bool:
        return () in self.deep

    def key(self, document: Value) -> tuple[Any, ...]:
        """Give what the decision sees of an input, fit for a dictionary."""
        seen = [freeze(follow(document, path)) for path in sorted(self.deep, key=repr)]
        found = [freeze_kind(follow(document, path)) for path in sorted(self.exists, key=repr)]
        return (*seen, *found)


UNKNOWN: Final = Reads(frozenset([()]), frozenset(), frozenset([()]), frozenset(["(not followed)"]))
"""Stands for anything: what it describes is not to be remembered."""


def normalised(
    deep: Iterable[InputPath],
    exists: Iterable[InputPath],
    data: Iterable[tuple[str, ...]],
    impure: Iterable[str],
    rules: Iterable[tuple[str, ...]],
) -> Reads:
    """Leave out what is covered by something else."""
    whole = _shortest(deep)
    partial = {path for path in exists if not _covered(path, whole)}
    # Where a path breaks says too whether its beginnings lead somewhere.
    longer = {path[:length] for path in whole | partial for length in range(len(path))}
    inputs = frozenset(whole), frozenset(partial - longer)
    return Reads(*inputs, frozenset(_shortest(data)), frozenset(impure), frozenset(rules))


def _shortest(paths: Iterable[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
    known = set(paths)
    return {path for path in known if not any(path[:length] in known for length in range(len(path)))}


def _covered(path: InputPath, whole: set[InputPath]) -> bool:
    return any(path[:length] in whole for length in range(len(path) + 1))
