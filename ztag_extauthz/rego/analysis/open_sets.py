"""Arrays made of the members of a set that is written out with variables in it: `[x | some x in {input.a, y}]`.

The same goes for the keys of an object. OPA goes through them in the order of the variables' names, and comes twice
to those that are equal: an order and a count that no reader expects, and that depend on what it has remembered. So
they are refused wherever such a set can come to: through variables, rules and functions. What a built-in, a
comprehension or a rule by key has given has no variables left in it.

A value is described by a number, whose bit n tells whether something n levels inside it may be such a set.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ztag_extauthz.rego.analysis.tree import Group, Node, Tree
from ztag_extauthz.rego.lower import ir
from ztag_extauthz.rego.lower.names import Mistakes
from ztag_extauthz.rego.syntax.nodes import Module

_MESSAGE: Final = "the order of an array made of a set's members would depend on the names of variables"
_REMEDY: Final = "go through an array instead, make a set, or sort it"


def check_open_sets(
    tree: Tree,
    order: Sequence[int],
    overrides: Sequence[ir.Override],
    modules: Mapping[str, Module],
    mistakes: Mistakes,
) -> None:
    """Refuse the rules that make such arrays; `order` has each rule after those that it needs."""
    checker = _Checker(tree, overrides, modules, mistakes)
    for number in order:
        checker.group(tree.groups[number])


def check_query(
    steps: ir.Steps, tree: Tree, overrides: Sequence[ir.Override], modules: Mapping[str, Module], mistakes: Mistakes
) -> None:
    """Refuse a query that makes such an array; its module is named `query`."""
    _Body(_Checker(tree, overrides, modules, mistakes), "query").steps(steps)


def _definitions(group: Group) -> Iterator[ir.Definition]:
    """Give all definitions of a rule, its `else`s and its default too."""
    waiting = [group.default, *group.definitions]
    while waiting:
        definition = waiting.pop()
        if definition is not None:
            yield definition
            waiting.append(definition.otherwise)


def is_open(term: Any) -> bool:
    """Tell whether a term is written out with several members, or keys, some of which are not known."""
    if isinstance(term, ir.SetTerm):
        items: Sequence[ir.Term] = term.items
    elif isinstance(term, ir.ObjectTerm):
        items = [name for name, _ in term.pairs]
    else:
        return False
    return len(items) > 1 and any(
        isinstance(node, ir.Local | ir.Path | ir.Comp) for item in items for node in ir.walk(item)
    )


class _Checker:
    """Follows such sets through rules, and functions: each of these once for each kind of arguments."""

    def __init__(
        self, tree: Tree, overrides: Sequence[ir.Override], modules: Mapping[str, Module], mistakes: Mistakes
    ) -> None:
        self.tree = tree
        self._modules = modules
        self._mistakes = mistakes
        self._known: dict[tuple[int, tuple[int, ...]], int] = {}
        self._replacements: dict[ir.Function, list[ir.Function]] = {}
        for override in overrides:
            if isinstance(override.target, ir.Function) and isinstance(override.value, ir.Function):
                self._replacements.setdefault(override.target, []).append(override.value)

    def report(self, path: ir.Path, file: str) -> None:
        self._mistakes.add(self._modules[file], path.position, "rego_unsupported_error", _MESSAGE, _REMEDY)

    def group(self, group: Group, arguments: tuple[int, ...] = ()) -> int:
        own = group.number, arguments
        if own not in self._known:
            self._known[own] = 0
            for definition in _definitions(group):
                self._known[own] |= self._definition(definition, arguments)
        return self._known[own]

    def _definition(self, definition: ir.Definition, arguments: tuple[int, ...]) -> int:
        body = _Body(self, definition.file)
        for place, term in enumerate(definition.arguments or ()):
            body.match(term, arguments[place] if arguments else 0)
            body.bound |= ir.locals_of(term)
        body.steps(definition.body)
        if definition.member is not None:
            body.term(definition.member)
        if definition.value is None or not all(isinstance(wanted, ir.Const) for wanted in definition.keys):
            return 0
        return body.term(definition.value) << len(definition.keys)

    def node(self, node: Node) -> int:
        """Describe a part of the tree of rules."""
        own = self.group(node.group) if node.group is not None and node.group.kind != "function" else 0
        for child in node.children.values():
            own |= self.node(child) << 1
        return own

    def call(self, function: ir.Function, arguments: tuple[int, ...]) -> int:
        found = 0
        for called in (function, *self._replacements.get(function, ())):
            node = None if called.builtin else self.tree.root.find(called.path)
            if node is not None and node.group is not None:
                found |= self.group(node.group, arguments)
        return found


class _Body:
    """Follows the steps of one body; `ordered` if they make an array."""

    def __init__(self, checker: _Checker, file: str, outer: "_Body | None" = None, *, ordered: bool = False) -> None:
        self._checker = checker
        self._file = file
        self._ordered = ordered
        self.known: dict[int, int] = dict(outer.known) if outer else {}
        self.bound: set[int] = set(outer.bound) if outer else set()

    def steps(self, steps: ir.Steps) -> None:
        for step in steps:
            self._step(step)
            self.bound |= ir.locals_of(step, closures=False)

    def _step(self, step: Any) -> None:
        match step:
            case ir.Unify(left, right):
                # Twice: what one side tells of the other may tell of the one in turn.
                for one, other in ((left, right), (right, left), (left, right), (right, left)):
                    self.match(one, self.term(other))
            case ir.Invoke():
                found = self._checker.call(step.function, tuple(map(self.term, step.arguments)))
                if step.output is not None:
                    self.match(step.output, found)
            case ir.Negation():
                self._step(step.step)
            case ir.ForAll():
                inner = _Body(self._checker, self._file, self)
                inner.match(step.value, self.term(step.domain) >> 1)
                inner.bound |= {local.number for local in (step.key, step.value) if local is not None}
                inner.steps(step.body)
            case _:
                self.term(step.term)
        for override in step.overrides:
            self.term(override.value)

    def match(self, pattern: Any, given: int) -> None:
        """Learn from a value that a pattern is matched with."""
        if not given:
            return
        if isinstance(pattern, ir.Local):
            self.known[pattern.number] = self.known.get(pattern.number, 0) | given
        elif isinstance(pattern, ir.ListTerm | ir.ObjectTerm):
            for part in ir.parts(pattern):
                self.match(part, given >> 1)

    def term(self, term: Any) -> int:
        match term:
            case ir.Local(number):
                return self.known.get(number, 0)
            case ir.Path():
                return self._path(term)
            case ir.Comp():
                self._comprehension(term)
                return 0
        found = int(is_open(term))
        for part in ir.parts(term):
            found |= self.term(part) << 1
        return found

    def _comprehension(self, comp: ir.Comp) -> None:
        inner = _Body(self._checker, self._file, self, ordered=comp.kind == "array")
        inner.steps(comp.body)
        for head in (comp.key, comp.value):
            if head is not None:
                inner.term(head)

    def _path(self, path: ir.Path) -> int:
        found, rest = self._start(path)
        for part in rest:
            self.term(part)
            if not ir.locals_of(part, closures=False) <= self.bound:
                if found & 1 and self._ordered:
                    self._checker.report(path, self._file)
                self.match(part, found >> 1)
            found >>= 1
        return found

    def _start(self, path: ir.Path) -> tuple[int, Sequence[ir.Term]]:
        if isinstance(path.root, ir.Local):
            return self.known.get(path.root.number, 0), path.path
        node = self._checker.tree.root
        if path.root == "input":
            return 0, path.path
        taken = 0
        for part in path.path:
            if node.group is not None or not isinstance(part, ir.Const) or part.value not in node.children:
                break
            node, taken = node.children[part.value], taken + 1
        return self._checker.node(node), path.path[taken:]
