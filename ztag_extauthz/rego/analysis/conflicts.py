"""Rules and base documents in one another's way: OPA refuses to load them together."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from ztag_extauthz.rego.analysis.tree import Node, Tree
from ztag_extauthz.rego.errors import Mistake, PolicyError
from ztag_extauthz.rego.runtime.evaluation import lookup
from ztag_extauthz.rego.values import UNDEFINED, Value

_NEAR = 0.8
_TOLD = 12


def check_conflicts(tree: Tree, data: Value) -> None:
    """Refuse base documents that hold a value where a rule is, or none where one would have to lie."""
    found = []
    for group in tree.groups:
        first = group.first
        if _lies_in_the_way(data, group.path):
            line, column = first.position
            message = f"conflicting rule for data path {'/'.join(group.path)} found"
            found.append(Mistake(first.file, line, column, "rego_compile_error", message))
    if found:
        raise PolicyError(found)


def check_entry_points(tree: Tree, data: Value, entry_points: Sequence[str]) -> None:
    """Refuse entry points that name neither a rule nor data: a misspelt one would be undefined for ever."""
    rules = ["/".join(group.path) for group in tree.groups if group.kind != "function"]
    found = [
        Mistake("", 0, 0, "rego_entry_point_error", f"no rule defines {point}", remedy=nearest(point, rules))
        for point in entry_points
        if not defines(tree, data, point)
    ]
    if found:
        raise PolicyError(found)


def nearest(point: str, rules: Iterable[str]) -> str:
    """Return which rule was meant, or which ones there are."""
    known = sorted(set(rules))
    if near := get_close_matches(point, known, n=1, cutoff=_NEAR):
        return f"did you mean {near[0]}?"
    more = ", …" if len(known) > _TOLD else ""
    return f"rules: {', '.join(known[:_TOLD]) or 'none'}{more}"


def defines(tree: Tree, data: Value, entry_point: str) -> bool:
    names = tuple(entry_point.strip("/").split("/"))
    return _names_something(tree.root, names) or lookup(data, names) is not UNDEFINED


def _names_something(node: Node, names: Sequence[str]) -> bool:
    for name in names:
        if node.group is not None:
            return node.group.kind != "function"
        if name not in node.children:
            return False
        node = node.children[name]
    return node.group is None or node.group.kind != "function"


def _lies_in_the_way(value: Value, path: tuple[str, ...]) -> bool:
    for name in path:
        if value.__class__ is not dict:
            return True
        value = value.get(name, UNDEFINED)
        if value is UNDEFINED:
            return False
    return True
