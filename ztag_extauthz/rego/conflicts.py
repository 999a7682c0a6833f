"""Rules and base documents in one another's way: OPA refuses to load them together."""

from ztag_extauthz.rego.errors import Mistake, PolicyError
from ztag_extauthz.rego.tree import Tree
from ztag_extauthz.rego.values import UNDEFINED, Value


def check_conflicts(tree: Tree, data: Value) -> None:
    """Refuse base documents that hold a value where a rule is, or none where one would have to lie."""
    found = []
    for group in tree.groups:
        first = (group.definitions or [group.default])[0]
        if first is not None and _lies_in_the_way(data, group.path):
            line, column = first.position
            message = f"conflicting rule for data path {'/'.join(group.path)} found"
            found.append(Mistake(first.file, line, column, "rego_compile_error", message))
    if found:
        raise PolicyError(found)


def _lies_in_the_way(value: Value, path: tuple[str, ...]) -> bool:
    for name in path:
        if value.__class__ is not dict:
            return True
        value = value.get(name, UNDEFINED)
        if value is UNDEFINED:
            return False
    return True
