"""The tree of rules at run time, for references to several rules at once: `data.pkg`, `data.pkg[x]`."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ztag_extauthz.rego.runtime.base import get_base
from ztag_extauthz.rego.runtime.evaluation import PENDING, Branch, State, get, lookup
from ztag_extauthz.rego.values import UNDEFINED, Value, unkey


@dataclass(slots=True)
class TreeNode:
    path: tuple[str, ...]
    package: bool
    rule: Callable[[State], Value] | None = None  # None too for functions, which are no part of documents
    fill: Callable[[State, Branch], None] | None = None  # of a rule that others add to: `p[x] := …`, `p.a := …`
    children: dict[str, "TreeNode"] = field(default_factory=dict)


def tree_value(node: TreeNode, state: State) -> Value:
    """Give the document at a node: what its rules give, and the base document that lies below them."""
    if state.patches:
        patch = state.patched(node.path)
        if patch is not PENDING:
            return patch
    if node.fill is not None:
        return _filled(node, state)
    if node.rule is not None:
        return node.rule(state)
    made = _base(node, state)
    for name, child in node.children.items():
        value = tree_value(child, state)
        if value is not UNDEFINED:
            made[name] = value
    return made


def _base(node: TreeNode, state: State) -> dict[object, Value]:
    base = lookup(state.data, node.path)
    return dict(base) if base.__class__ is dict else {}


def _filled(node: TreeNode, state: State) -> Value:
    """Give the document of a rule with a variable in its head, together with the rules that lie below it."""
    if node.path not in state.memo:
        branch = Branch(".".join(("data", *node.path)))
        _fill(node, state, branch)
        state.memo[node.path] = branch.value()
    return state.memo[node.path]


def _fill(node: TreeNode, state: State, branch: Branch) -> None:
    if node.fill is not None:
        node.fill(state, branch)
    for name, child in node.children.items():
        if child.rule is None or child.fill is not None:
            _fill(child, state, branch.descend((name,), branch.place))
            continue
        value = child.rule(state)
        if value.__class__ is frozenset:
            for member in value:
                branch.add((name,), unkey(member), branch.place)
        elif value is not UNDEFINED:
            branch.put((name,), value, branch.place)


def tree_get(node: TreeNode, state: State, wanted: Value) -> Value:
    """Give one part of the document at a node, without evaluating the others."""
    if state.patches:
        patch = state.patched(node.path)
        if patch is not PENDING:
            return get(patch, wanted)
    child = node.children.get(wanted) if wanted.__class__ is str else None
    if child is None:
        return get_base(lookup(state.data, node.path), wanted)
    return tree_value(child, state)
