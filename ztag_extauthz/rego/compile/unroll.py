"""Loops over small tables that stand in the policy, written out: a definition for each row, its constants in place.

`some route in table; glob.match(route.pattern, ["/"], path)` becomes one definition for each route, whose pattern is
compiled when the policy is loaded, and which the index of rules finds by the beginning of the path.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ztag_extauthz.rego.compile.index import may_err
from ztag_extauthz.rego.lower import ir
from ztag_extauthz.rego.lower.fold import fold
from ztag_extauthz.rego.runtime.evaluation import lookup
from ztag_extauthz.rego.values import UNDEFINED, Value, unkey

if TYPE_CHECKING:
    from ztag_extauthz.rego.compile.policy import PolicyCompiler

MAX_ROWS: Final = 64


def unrolled(policy: "PolicyCompiler", definition: ir.Definition) -> list[ir.Definition]:
    """Write out the first loop of a body if it goes through a small constant rule, and nothing stands before it."""
    if definition.otherwise is not None:
        return [definition]
    for index, step in enumerate(definition.body):
        loop = _loop(policy, step)
        if loop is not None:
            place, rows = loop
            bound = _bound_before(definition, index)
            if bound is None or place in bound:
                break
            return [_Row(policy, bound, place, row).definition(definition) for row in rows]
    return [definition]


def _bound_before(definition: ir.Definition, index: int) -> set[int] | None:
    """Give the locals that are known before a step, or None if there is a loop or what may err before it."""
    bound: set[int] = set().union(*map(ir.locals_of, definition.arguments or ()))
    for step in definition.body[:index]:
        if may_err(step) or _opens(step, bound):
            return None
        bound |= ir.locals_of(step)
    return bound


def _opens(step: ir.Step, bound: set[int]) -> bool:
    return any(isinstance(node, ir.Path) and not ir.locals_of(node) <= bound for node in ir.walk(step))


def _loop(policy: "PolicyCompiler", step: ir.Step) -> tuple[int, Sequence[Value]] | None:
    """Give the local that a step runs through the keys of a constant rule, and these keys."""
    if step.overrides or not isinstance(step, ir.Unify | ir.Check):
        return None
    for term in (step.left, step.right) if isinstance(step, ir.Unify) else (step.term,):
        table, rest = _table(policy, term)
        key = rest[0] if rest else None
        if table.__class__ not in (list, dict, frozenset) or len(table) > MAX_ROWS:
            continue
        if isinstance(key, ir.Local):
            return key.number, range(len(table)) if table.__class__ is list else [*map(unkey, table)]
    return None


def _table(policy: "PolicyCompiler", term: ir.Term) -> tuple[Value, Sequence[ir.Term]]:
    """Give the value of the constant rule that a reference goes into, and what follows in the reference."""
    if not isinstance(term, ir.Path) or term.root != "data":
        return UNDEFINED, ()
    node = policy.tree.root
    for taken, part in enumerate(term.path):
        if node.group is not None or not isinstance(part, ir.Const) or part.value not in node.children:
            break
        node = node.children[part.value]
        if node.group is not None and not node.children and not policy.is_patched(node.path):
            return policy.constant_rule(node.group), term.path[taken + 1 :]
    return UNDEFINED, ()


class _Row:
    """One turn of the loop: puts the constants into a definition."""

    def __init__(self, policy: "PolicyCompiler", bound: set[int], place: int, row: Value) -> None:
        self._policy = policy
        self._bound = set(bound)
        self._known: dict[int, ir.Const] = {place: ir.Const(row)}
        self._kept: dict[int, ir.Const] = {}

    def definition(self, whole: ir.Definition) -> ir.Definition:
        body = [step for step in map(self._step, whole.body) if step is not None]
        keys, member, value = map(self._put, (whole.keys, whole.member, whole.value))
        kept = [ir.Unify(ir.Local(number), constant, whole.position) for number, constant in self._kept.items()]
        return replace(whole, body=(*kept, *body), keys=keys, member=member, value=value)

    def _step(self, step: ir.Step) -> ir.Step | None:
        """Put constants into a step; one that gives a local a constant is left out, and the local with it."""
        made: ir.Step = self._put(step)
        if (
            isinstance(made, ir.Unify)
            and isinstance(made.left, ir.Local)
            and made.operator != "=="
            and not made.overrides
        ):
            constant = fold(made.right)
            if constant is not None and made.left.number not in self._bound:
                self._known[made.left.number] = constant
                return None
        self._bound |= ir.locals_of(made, closures=False)
        return made

    def _put(self, node: Any) -> Any:
        """Put constants into a term, a step, or a tuple of them."""
        if isinstance(node, tuple):
            return tuple(map(self._put, node))
        if isinstance(node, ir.Local):
            return self._known.get(node.number, node)
        if isinstance(node, ir.Path):
            return self._path(node)
        names = _PARTS.get(node.__class__, ())
        return replace(node, **{name: self._put(getattr(node, name)) for name in names}) if names else node

    def _path(self, path: ir.Path) -> ir.Term:
        rest = tuple(map(self._put, path.path))
        made = replace(path, path=rest)
        start, following = _table(self._policy, made)
        root = path.root
        if isinstance(root, ir.Local) and root.number in self._known:
            start, following = self._known[root.number].value, rest
        if start is not UNDEFINED and all(isinstance(part, ir.Const) for part in following):
            found = lookup(start, [part.value for part in following if isinstance(part, ir.Const)])
            if found is not UNDEFINED:
                return ir.Const(found)
        if isinstance(root, ir.Local) and root.number in self._known:
            self._kept[root.number] = self._known[root.number]
        return made


_PARTS: Final[Mapping[type, tuple[str, ...]]] = {
    ir.ListTerm: ("items",),
    ir.SetTerm: ("items",),
    ir.ObjectTerm: ("pairs",),
    ir.Comp: ("key", "value", "body"),
    ir.Override: ("value",),
    ir.Unify: ("left", "right", "overrides"),
    ir.Invoke: ("arguments", "output", "overrides"),
    ir.Check: ("term", "overrides"),
    ir.Negation: ("step", "overrides"),
    ir.ForAll: ("domain", "body", "overrides"),
}
