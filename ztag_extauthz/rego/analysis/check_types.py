"""Comparisons, calls and references that can never hold: OPA refuses them, and so do we."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

from ztag_extauthz.rego.analysis.tree import Group, Tree
from ztag_extauthz.rego.analysis.types import (
    ANY,
    Type,
    accepts,
    held,
    keys,
    members,
    parse_type,
    select,
    split,
    type_of,
    unifies,
    union,
)
from ztag_extauthz.rego.lower import ir
from ztag_extauthz.rego.lower.names import Mistakes, find_builtin
from ztag_extauthz.rego.syntax.nodes import Module, Position
from ztag_extauthz.rego.values import key

_MEMBERSHIPS: Final = (
    ir.Function(("internal.member_2",), builtin=True),
    ir.Function(("internal.member_3",), builtin=True),
)


def check_types(tree: Tree, order: Sequence[int], modules: Mapping[str, Module], mistakes: Mistakes) -> None:
    """Check all rules; `order` has each after those that it needs."""
    checker = TypeChecker(tree, modules, mistakes)
    for number in order:
        checker.group(tree.groups[number])


class TypeChecker:
    """Gives each rule a type, once, and checks it in doing so. Rules are not recursive here."""

    def __init__(self, tree: Tree, modules: Mapping[str, Module], mistakes: Mistakes) -> None:
        self.tree = tree
        self._modules = modules
        self._mistakes = mistakes
        self._known: dict[int, tuple[Type, list[Type]]] = {}

    def mistake(self, file: str, position: Position, message: str) -> None:
        self._mistakes.add(self._modules[file], position, "rego_type_error", message)

    def group(self, group: Group) -> tuple[Type, list[Type]]:
        """Give the type of a rule's value, and those that its arguments may have."""
        if group.number not in self._known:
            links = [self._definition(link) for definition in group.definitions for link in definition.chain()]
            if group.default is not None:
                links.append((self._definition(group.default)[0], [ANY] * group.arity))
            columns = zip(*(arguments for _, arguments in links), strict=True)
            self._known[group.number] = union(value for value, _ in links), list(map(union, columns))
        return self._known[group.number]

    def _definition(self, definition: ir.Definition) -> tuple[Type, list[Type]]:
        """Give the types of the value and the arguments: of those, what the body takes them for."""
        body = BodyTypes(self, definition.file, {})
        body.steps(definition.body)
        head = definition.member if definition.member is not None else definition.value
        value = body.term(head) if head is not None else ANY
        if definition.member is not None:
            value = Type("set", dynamic=value)
        for _ in definition.keys:
            value = Type("object", dynamic=value)
        return value, [body.term(argument) for argument in definition.arguments or ()]


class BodyTypes:
    """The types of the locals of one body."""

    def __init__(self, checker: TypeChecker, file: str, known: dict[int, Type]) -> None:
        self._checker = checker
        self._file = file
        self._known = known

    def steps(self, steps: ir.Steps) -> None:
        for step in steps:
            self._step(step)

    def _step(self, step: ir.Step) -> None:
        match step:
            case ir.Unify():
                self._unify(step)
            case ir.Invoke():
                self._invoke(step)
            case ir.Check():
                self.term(step.term)
            case ir.Negation():
                self._step(step.step)
            case ir.ForAll():
                self._every(step)

    def _unify(self, step: ir.Unify) -> None:
        left, right = self.term(step.left), self.term(step.right)
        if not unifies(left, right):
            message = f"match error\n\tleft  : {left}\n\tright : {right}"
            self._checker.mistake(self._file, step.position, message)
        self._bind(step.left, right)
        self._bind(step.right, left)

    def _bind(self, term: ir.Term, given: Type) -> None:
        """Learn the types of locals from the first that they are unified with."""
        if isinstance(term, ir.Local):
            self._known.setdefault(term.number, given)
        elif isinstance(term, ir.ListTerm):
            for index, item in enumerate(term.items):
                self._bind(item, select(given, index) or ANY)
        elif isinstance(term, ir.ObjectTerm):
            for wanted, item in term.pairs:
                self._bind(item, (select(given, wanted.value) if isinstance(wanted, ir.Const) else None) or ANY)

    def _every(self, step: ir.ForAll) -> None:
        self.term(step.domain)
        # OPA does not know what type the members have.
        BodyTypes(self._checker, self._file, dict(self._known)).steps(step.body)

    def _invoke(self, step: ir.Invoke) -> None:
        have = [self.term(argument) for argument in step.arguments]
        if step.function.builtin:
            want, given = _signature(step.function.path[0])
        else:
            node = self._checker.tree.root.find(step.function.path)
            if node is None or node.group is None:
                return
            given, want = self._checker.group(node.group)
        if step.function in _MEMBERSHIPS:
            self._membership(step, have)
        terms = step.arguments
        if step.output is not None:
            terms, want = (*terms, step.output), [*want, given]
            if not isinstance(step.output, ir.Local) or step.output.number in self._known:
                have.append(self.term(step.output))
        if not all(map(accepts, want, have)):
            shown = f"\n\thave: ({', '.join(map(str, have))})\n\twant: ({', '.join(map(str, want[: len(have)]))})"
            self._checker.mistake(self._file, step.position, f"{step.function}: invalid argument(s){shown}")
        for term, known in zip(terms, want, strict=False):
            self._bind(term, known)

    def _membership(self, step: ir.Invoke, have: list[Type]) -> None:
        """Check `value in collection`, or `key, value in collection`."""
        within = have[-1]
        known = [keys(within), members(within) or ANY][-len(have) + 1 :]
        for term, own, other in zip(step.arguments, have, known, strict=False):
            if not unifies(own, other):
                self._checker.mistake(self._file, step.position, f"match error\n\tleft  : {own}\n\tright : {other}")
            self._bind(term, other)

    # -- terms

    def term(self, term: ir.Term) -> Type:
        match term:
            case ir.Const(value):
                return type_of(value)
            case ir.Local(number):
                return self._known.get(number, ANY)
            case ir.Path():
                return self._path(term)
            case ir.Comp():
                return self._comprehension(term)
            case _:
                return self._collection(term)

    def _collection(self, term: ir.ListTerm | ir.SetTerm | ir.ObjectTerm) -> Type:
        if isinstance(term, ir.ListTerm):
            return held(Type("array", items=tuple(map(self.term, term.items))))
        if isinstance(term, ir.SetTerm):
            return held(Type("set", dynamic=union(map(self.term, term.items))))
        return self._object(term.pairs)

    def _object(self, pairs: tuple[tuple[ir.Term, ir.Term], ...]) -> Type:
        if not all(isinstance(wanted, ir.Const) for wanted, _ in pairs):
            return Type("object", dynamic=ANY)
        fixed = tuple((key(wanted.value), self.term(value)) for wanted, value in pairs if isinstance(wanted, ir.Const))
        return held(Type("object", pairs=fixed))

    def _comprehension(self, comp: ir.Comp) -> Type:
        inner = BodyTypes(self._checker, self._file, dict(self._known))
        inner.steps(comp.body)
        value = inner.term(comp.value)
        return Type(comp.kind, dynamic=value)

    def _path(self, path: ir.Path) -> Type:
        if isinstance(path.root, ir.Local):
            return self._navigate(self.term(path.root), path.path, path)
        if path.root == "input":
            return self._navigate(ANY, path.path, path)
        node, taken = self._checker.tree.root, 0
        for part in path.path:
            if node.group is not None or not isinstance(part, ir.Const) or part.value not in node.children:
                break
            node, taken = node.children[part.value], taken + 1
        if node.group is not None and node.group.kind == "function":
            self._checker.mistake(self._file, path.position, f"function {_shown(path)} used as reference, not called")
        known = node.group is not None and not node.children and node.group.kind != "function"
        whole = self._checker.group(node.group)[0] if known and node.group is not None else ANY
        return self._navigate(whole, path.path[taken:], path)

    def _navigate(self, whole: Type, rest: tuple[ir.Term, ...], path: ir.Path) -> Type:
        for part in rest:
            self._bind(part, keys(whole))
            found = select(whole, part.value) if isinstance(part, ir.Const) else members(whole)
            if found is None:
                self._checker.mistake(self._file, path.position, f"undefined ref: {_shown(path)}")
                return ANY
            whole = found
        return whole


@cache
def _signature(name: str) -> tuple[list[Type], Type]:
    """Give the types of a built-in's arguments, and of its result."""
    inside, result = find_builtin(name).signature[1:].rsplit(") => ", 1)
    return [parse_type(part) for part in split(inside) if not part.startswith("...")], parse_type(result)


def _shown(path: ir.Path) -> str:
    parts = [str(part.value) if isinstance(part, ir.Const) else "_" for part in path.path]
    return ".".join([path.root if isinstance(path.root, str) else "…", *parts])
