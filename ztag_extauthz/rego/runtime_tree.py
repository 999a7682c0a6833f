"""The tree of rules at run time, for references to several rules at once: `data.pkg`, `data.pkg[x]`."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ztag_extauthz.rego.errors import EvaluationError
from ztag_extauthz.rego.runtime import PENDING, State, get, lookup
from ztag_extauthz.rego.values import UNDEFINED, Value, equal, key


@dataclass(slots=True)
class TreeNode:
    path: tuple[str, ...]
    package: bool
    rule: Callable[[State], Value] | None = None  # None too for functions, which are no part of documents
    children: dict[str, "TreeNode"] = field(default_factory=dict)


def tree_value(node: TreeNode, state: State) -> Value:
    """Give the document at a node: what its rules give, and the base document that lies below them."""
    if state.patches:
        patch = state.patched(node.path)
        if patch is not PENDING:
            return patch
    if not node.children:
        return node.rule(state) if node.rule is not None else UNDEFINED
    made = _base(node, state)
    for name, child in node.children.items():
        value = tree_value(child, state)
        if value is not UNDEFINED:
            made[name] = value
    own = node.rule(state) if node.rule is not None else UNDEFINED
    if own is not UNDEFINED:
        made = _merge(made, own, node.path)
    return made if made or node.package or node.rule is not None else UNDEFINED


def _base(node: TreeNode, state: State) -> dict[object, Value]:
    base = lookup(state.data, node.path)
    return dict(base) if base.__class__ is dict else {}


def _merge(ours: dict[object, Value], theirs: Value, path: tuple[str, ...]) -> dict[object, Value]:
    """Put two objects together; where both have a value that is no object, these have to be one."""
    merged = dict(ours)
    for form, value in theirs.items():
        known = merged.get(form, UNDEFINED)
        if known is UNDEFINED:
            merged[form] = value
        elif known.__class__ is dict and value.__class__ is dict:
            merged[form] = _merge(known, value, path)
        elif not equal(known, value):
            message = "object keys must be unique"
            raise EvaluationError("eval_conflict_error", message, ".".join(("data", *path)))
    return merged


def tree_get(node: TreeNode, state: State, wanted: Value) -> Value:
    """Give one part of the document at a node, without evaluating the others."""
    if state.patches:
        patch = state.patched(node.path)
        if patch is not PENDING:
            return get(patch, wanted)
    child = node.children.get(wanted) if wanted.__class__ is str else None
    if child is None or (child.rule is None and not child.children):
        if child is not None and not child.package:
            return UNDEFINED
        return lookup(state.data, (*node.path, wanted))
    return tree_value(child, state)


__all__ = ["TreeNode", "key", "tree_get", "tree_value"]
