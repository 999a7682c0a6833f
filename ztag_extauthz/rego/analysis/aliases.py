"""Following the terms of one body to the places in the input that they may stand for."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ztag_extauthz.rego.frozen import InputPath
from ztag_extauthz.rego.lower import ir
from ztag_extauthz.rego.lower.fold import fold

if TYPE_CHECKING:
    from ztag_extauthz.rego.analysis.dependencies import Dependencies

Aliases: TypeAlias = frozenset[InputPath]

NONE: Final[Aliases] = frozenset()
WHOLE: Final[Aliases] = frozenset([()])


class Scope:
    """Follows the steps of one body. `root` is what `input` stands for in it."""

    def __init__(self, owner: "Dependencies", root: Aliases, bound: dict[int, Aliases] | None = None) -> None:
        self._owner = owner
        self._root = root
        self.bound = dict(bound or {})

    def steps(self, steps: ir.Steps) -> None:
        for step in steps:
            self._step(step)

    def _step(self, step: ir.Step) -> None:
        outer = self._root
        for override in step.overrides:
            self._override(override, outer)
        match step:
            case ir.Unify():
                self._unify(step)
            case ir.Invoke():
                result = self._invoke(step)
                if step.output is not None:
                    self.match(step.output, result)
                else:
                    self._owner.use(result)
            case ir.Check():
                self._owner.use(self.term(step.term))
            case ir.Negation():
                self._step(step.step)
            case ir.ForAll():
                self._owner.use(self.term(step.domain))
                inner = Scope(self._owner, self._root, self.bound)
                for local in (step.key, step.value):
                    if local is not None:
                        inner.bound[local.number] = NONE
                inner.steps(step.body)
        self._root = outer

    def _override(self, override: ir.Override, outer: Aliases) -> None:
        value = NONE
        if isinstance(override.value, ir.Function):
            if not override.value.builtin:
                self._replacement(override.value)
            else:
                self._owner.call_builtin(override.value.path[0])
        else:
            value = self.term(override.value)
        target = override.target
        if isinstance(target, ir.Path) and target.root == "input" and not target.path:
            self._root = value
        else:
            # What is put in may be seen from anywhere below: it counts as used.
            self._owner.use(value)
            if isinstance(target, ir.Path) and target.root == "data":
                self._owner.read_data(target.path)
            elif isinstance(target, ir.Path):
                self._owner.use(outer - WHOLE)

    def _replacement(self, function: ir.Function) -> None:
        node = self._owner.root.find(function.path)
        arity = node.group.arity if node is not None and node.group is not None else 0
        self._owner.use(self._owner.function(function.path, [NONE] * arity, self._root))
        self._owner.use(self._owner.function(function.path, [NONE] * arity, WHOLE))

    def _invoke(self, step: ir.Invoke) -> Aliases:
        arguments = [self.term(argument) for argument in step.arguments]
        function = step.function
        if not function.builtin and not self._owner.is_mocked(function):
            return self._owner.function(function.path, arguments, self._root)
        if function.builtin and function.path[0] == "object.get" and not self._owner.is_mocked(function):
            return self._object_get(step, arguments)
        for argument in arguments:
            self._owner.use(argument)
        if function.builtin:
            self._owner.call_builtin(function.path[0])
        else:
            self._owner.use(self._owner.function(function.path, [NONE] * len(arguments), self._root))
        return NONE

    def _object_get(self, step: ir.Invoke, arguments: list[Aliases]) -> Aliases:
        """`object.get` with a fixed key goes on like a reference."""
        wanted = step.arguments[1]
        names = wanted.value if isinstance(wanted, ir.Const) else None
        path = [names] if isinstance(names, str) else _constant_names(wanted)
        if path is None:
            for argument in arguments:
                self._owner.use(argument)
            return NONE
        found = frozenset((*alias, *path) for alias in arguments[0])
        self._owner.touch(found)
        return found | arguments[2]

    def _unify(self, step: ir.Unify) -> None:
        left, right = step.left, step.right
        if self._is_open(left) and not isinstance(left, ir.Path):
            self.match(left, self.term(right))
        elif self._is_open(right) and not isinstance(right, ir.Path):
            self.match(right, self.term(left))
        else:
            self._owner.use(self.term(left))
            self._owner.use(self.term(right))

    def _is_open(self, term: ir.Term) -> bool:
        return any(number not in self.bound for number in ir.locals_of(term, closures=False))

    def match(self, pattern: ir.Term, aliases: Aliases) -> None:
        """Bind the locals of a pattern. Taking a value apart looks at its form: that is a deep read."""
        if isinstance(pattern, ir.Local) and pattern.number not in self.bound:
            self.bound[pattern.number] = aliases
            return
        self._owner.use(aliases)
        self._owner.use(self._consumed(pattern))
        for number in ir.locals_of(pattern, closures=False):
            self.bound.setdefault(number, NONE)

    def _consumed(self, term: ir.Term) -> Aliases:
        known = ir.locals_of(term, closures=False) & self.bound.keys()
        return frozenset().union(*(self.bound[number] for number in known)) if known else NONE

    # -- terms

    def term(self, term: ir.Term) -> Aliases:
        """Give what a term may stand for; collections of input are read at once."""
        if isinstance(term, ir.Const):
            return NONE
        if isinstance(term, ir.Local):
            return self.bound.setdefault(term.number, NONE)
        if isinstance(term, ir.Path):
            return self._path(term)
        if isinstance(term, ir.Comp):
            inner = Scope(self._owner, self._root, self.bound)
            inner.steps(term.body)
            for head in (term.key, term.value):
                if head is not None:
                    self._owner.use(inner.term(head))
            return NONE
        for part in ir.parts(term):
            self._owner.use(self.term(part))
        return NONE

    def _path(self, path: ir.Path) -> Aliases:
        if isinstance(path.root, ir.Local):
            return self._navigate(self.term(path.root), path.path)
        if path.root == "input":
            self._owner.touch(self._root)
            return self._navigate(self._root, path.path)
        return self._document(path)

    def _navigate(self, aliases: Aliases, path: Sequence[ir.Term]) -> Aliases:
        for index, part in enumerate(path):
            if isinstance(part, ir.Const) and _is_name(part.value):
                aliases = frozenset((*alias, part.value) for alias in aliases)
                self._owner.touch(aliases)
                continue
            self._owner.use(aliases)
            for key in path[index:]:
                self._owner.use(self.term(key))
            return NONE
        return aliases

    def _document(self, path: ir.Path) -> Aliases:
        node, taken = self._owner.root, 0
        for part in path.path:
            if node.group is not None or not isinstance(part, ir.Const) or part.value not in node.children:
                break
            node, taken = node.children[part.value], taken + 1
        rest = path.path[taken:]
        if node.group is not None and not node.children:
            return self._navigate(self._owner.group(node.group, self._root), rest)
        if rest and isinstance(rest[0], ir.Const) and node.group is None:
            self._owner.read_data(path.path)
        else:
            self._owner.tree(node, self._root)
        for part in rest:
            self._owner.use(self.term(part))
        return NONE


def _is_name(value: Any) -> bool:
    return value.__class__ is str or (value.__class__ is int and value >= 0)


def _constant_names(term: ir.Term) -> list[str] | None:
    constant = fold(term)
    if constant is None or constant.value.__class__ is not list:
        return None
    return constant.value if all(_is_name(name) for name in constant.value) else None
