"""Comparisons, calls and references that can never hold: OPA refuses them, and so do we."""

from collections.abc import Mapping, Sequence

from ztag_extauthz.rego.ir import (
    Check,
    Comp,
    Const,
    Definition,
    ForAll,
    Invoke,
    ListTerm,
    Local,
    Negation,
    ObjectTerm,
    Path,
    SetTerm,
    Step,
    Steps,
    Term,
    Unify,
)
from ztag_extauthz.rego.names import Mistakes, find_builtin
from ztag_extauthz.rego.nodes import Module, Position
from ztag_extauthz.rego.tree import Group, Tree
from ztag_extauthz.rego.types import (
    ANY,
    Type,
    accepts,
    held,
    members,
    parse_type,
    select,
    split,
    type_of,
    unifies,
    union,
)
from ztag_extauthz.rego.values import key


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
        self._known: dict[int, Type] = {}

    def mistake(self, file: str, position: Position, message: str) -> None:
        self._mistakes.add(self._modules[file], position, "rego_type_error", message)

    def group(self, group: Group) -> Type:
        if group.number not in self._known:
            self._known[group.number] = ANY
            found = [self._definition(definition) for definition in group.definitions]
            if group.default is not None:
                found.append(self._definition(group.default))
            self._known[group.number] = self._whole(group, found)
        return self._known[group.number]

    def _whole(self, group: Group, found: list[Type]) -> Type:
        if group.kind == "set":
            return Type("set", dynamic=union(found))
        return ANY if group.kind == "object" else union(found)

    def _definition(self, definition: Definition) -> Type:
        body = BodyTypes(self, definition.file, {})
        body.steps(definition.body)
        head = definition.member if definition.member is not None else definition.value
        own = body.term(head) if head is not None else ANY
        if definition.otherwise is not None:
            own = union([own, self._definition(definition.otherwise)])
        return own

    def parameters(self, group: Group) -> list[Type]:
        """Give what the patterns of a function's parameters allow."""
        body = BodyTypes(self, group.first.file, {})
        rows = [[body.term(argument) for argument in item.arguments or ()] for item in group.definitions]
        if group.default is not None:
            return [ANY] * group.arity
        return [union(column) for column in zip(*rows, strict=False)]


class BodyTypes:
    """The types of the locals of one body."""

    def __init__(self, checker: TypeChecker, file: str, known: dict[int, Type]) -> None:
        self._checker = checker
        self._file = file
        self._known = known

    def steps(self, steps: Steps) -> None:
        for step in steps:
            self._step(step)

    def _step(self, step: Step) -> None:
        match step:
            case Unify():
                self._unify(step)
            case Invoke():
                self._invoke(step)
            case Check():
                self.term(step.term)
            case Negation():
                self._step(step.step)
            case ForAll():
                self._every(step)

    def _unify(self, step: Unify) -> None:
        left, right = self.term(step.left), self.term(step.right)
        if not unifies(left, right):
            message = f"match error\n\tleft  : {left}\n\tright : {right}"
            self._checker.mistake(self._file, step.position, message)
        self._bind(step.left, right)
        self._bind(step.right, left)

    def _bind(self, term: Term, given: Type) -> None:
        if isinstance(term, Local):
            self._known.setdefault(term.number, given)

    def _every(self, step: ForAll) -> None:
        domain = self.term(step.domain)
        inner = BodyTypes(self._checker, self._file, dict(self._known))
        inner._known[step.value.number] = members(domain) or ANY
        inner.steps(step.body)

    def _invoke(self, step: Invoke) -> None:
        have = [self.term(argument) for argument in step.arguments]
        if step.function.builtin:
            signature = find_builtin(step.function.path[0]).signature
            inside, result = signature[1:].rsplit(") => ", 1)
            want, given = [parse_type(part) for part in split(inside) if not part.startswith("...")], parse_type(result)
        else:
            node = self._checker.tree.root.find(step.function.path)
            if node is None or node.group is None:
                return
            want, given = self._checker.parameters(node.group), self._checker.group(node.group)
        if not all(map(accepts, want, have)):
            shown = f"\n\thave: ({', '.join(map(str, have))})\n\twant: ({', '.join(map(str, want))})"
            self._checker.mistake(self._file, step.position, f"{step.function}: invalid argument(s){shown}")
        if step.output is not None:
            self._bind(step.output, given)

    # -- terms

    def term(self, term: Term) -> Type:
        match term:
            case Const(value):
                return type_of(value)
            case Local(number):
                return self._known.get(number, ANY)
            case Path():
                return self._path(term)
            case Comp():
                return self._comprehension(term)
            case _:
                return self._collection(term)

    def _collection(self, term: ListTerm | SetTerm | ObjectTerm) -> Type:
        if isinstance(term, ListTerm):
            return held(Type("array", items=tuple(map(self.term, term.items))))
        if isinstance(term, SetTerm):
            return held(Type("set", dynamic=union(map(self.term, term.items))))
        return self._object(term.pairs)

    def _object(self, pairs: tuple[tuple[Term, Term], ...]) -> Type:
        if not all(isinstance(wanted, Const) for wanted, _ in pairs):
            return Type("object", dynamic=ANY)
        fixed = tuple((key(wanted.value), self.term(value)) for wanted, value in pairs if isinstance(wanted, Const))
        return held(Type("object", pairs=fixed))

    def _comprehension(self, comp: Comp) -> Type:
        inner = BodyTypes(self._checker, self._file, dict(self._known))
        inner.steps(comp.body)
        value = inner.term(comp.value)
        return Type(comp.kind, dynamic=ANY if comp.kind == "object" else value)

    def _path(self, path: Path) -> Type:
        if isinstance(path.root, Local):
            return self._navigate(self.term(path.root), path.path, path)
        if path.root == "input":
            return ANY
        node, taken = self._checker.tree.root, 0
        for part in path.path:
            if node.group is not None or not isinstance(part, Const) or part.value not in node.children:
                break
            node, taken = node.children[part.value], taken + 1
        if node.group is None or node.children or node.group.kind == "function":
            return ANY
        return self._navigate(self._checker.group(node.group), path.path[taken:], path)

    def _navigate(self, whole: Type, rest: tuple[Term, ...], path: Path) -> Type:
        for part in rest:
            found = select(whole, part.value) if isinstance(part, Const) else members(whole)
            if found is None:
                self._checker.mistake(self._file, path.position, f"undefined ref: {_shown(path)}")
                return ANY
            whole = found
        return whole


def _shown(path: Path) -> str:
    parts = [str(part.value) if isinstance(part, Const) else "_" for part in path.path]
    return ".".join([path.root if isinstance(path.root, str) else "…", *parts])
