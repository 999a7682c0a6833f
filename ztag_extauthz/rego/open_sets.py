"""Arrays made of the members of a set that stands there with variables in it, `[x | some x in {input.a, y}]`.

The same goes for the keys of an object. OPA goes through them in the order of the variables' names, and comes
twice to those that are equal: an order and a count that no reader expects. They are refused where they can be seen.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from ztag_extauthz.rego.ir import Comp, Local, ObjectTerm, Path, SetTerm, Step, Term, Unify, walk
from ztag_extauthz.rego.nodes import Position

MESSAGE: Final = "the order of an array made of a set's members would depend on the names of variables"
REMEDY: Final = "go through an array instead, or make a set"


def iterated(steps: Sequence[Step]) -> Position | None:
    """Give the place where a body goes through a set of its own that holds variables."""
    bound = {step.left.number for step in steps if isinstance(step, Unify) and isinstance(step.left, Local)}
    own = set(_open_sets(steps))
    for step in steps:
        for node in walk(step):
            if isinstance(node, Path) and _opens(node, own, bound):
                return node.position
    return None


def _open_sets(steps: Sequence[Step]) -> Iterator[int]:
    for step in steps:
        if isinstance(step, Unify) and isinstance(step.left, Local):
            items = _members(step.right)
            if len(items) > 1 and any(map(_has_variables, items)):
                yield step.left.number


def _has_variables(term: Term) -> bool:
    return any(isinstance(node, Local | Path | Comp) for node in walk(term))


def _members(term: Term) -> Sequence[Term]:
    """Give what makes a set or an object iterate: its members, or its keys."""
    if isinstance(term, SetTerm):
        return term.items
    return [name for name, _ in term.pairs] if isinstance(term, ObjectTerm) else ()


def _opens(path: Path, own: set[int], bound: set[int]) -> bool:
    if not isinstance(path.root, Local) or path.root.number not in own or not path.path:
        return False
    first = path.path[0]
    return isinstance(first, Local) and first.number not in bound
