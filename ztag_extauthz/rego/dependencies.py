"""Which parts of the input, of data, and which impure built-ins a decision can depend on.

Every term is followed to the places in the input that it may stand for (its *aliases*). Going on from one is an
existence read, using its value is a deep read; what cannot be followed (open or computed keys, collections that
hold input) is read deeply at once. So the answer may name too much, never too little.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

from ztag_extauthz.rego.builtins.interface import REGISTRY
from ztag_extauthz.rego.ir import (
    Check,
    Comp,
    Const,
    Definition,
    ForAll,
    Function,
    Invoke,
    Local,
    Negation,
    Override,
    Path,
    Step,
    Steps,
    Term,
    Unify,
    locals_of,
    parts,
)
from ztag_extauthz.rego.reads import InputPath, Reads, normalised
from ztag_extauthz.rego.tree import Group, Node, Tree

Aliases: TypeAlias = frozenset[InputPath]
Key: TypeAlias = tuple[Any, ...]

_NONE: Final[Aliases] = frozenset()
_WHOLE: Final[Aliases] = frozenset([()])
MAX_CONTEXTS: Final = 2_000
"""Beyond so many (rule, arguments, input) combinations arguments are no longer told apart."""


class Dependencies:
    """Follows an entry point through the rules that it may evaluate."""

    def __init__(self, tree: Tree, overrides: Sequence[Override]) -> None:
        self._tree = tree
        self._mocked = {item.target for item in overrides if isinstance(item.target, Function)}
        self._deep: set[InputPath] = set()
        self._exists: set[InputPath] = set()
        self._data: set[tuple[str, ...]] = set()
        self._impure: set[str] = set()
        self._known: dict[Key, Aliases] = {}

    def of(self, path: tuple[str, ...]) -> Reads:
        """Give what the document at a path below `data` depends on."""
        scope = _Scope(self, _WHOLE)
        self.use(scope.term(Path("data", tuple(map(Const, path)))))
        return normalised(self._deep, self._exists, self._data, self._impure)

    # -- what is read

    def use(self, aliases: Aliases) -> None:
        self._deep |= aliases

    def touch(self, aliases: Aliases) -> None:
        self._exists |= aliases

    def read_data(self, path: Iterable[Term]) -> None:
        names: list[str] = []
        for part in path:
            if not isinstance(part, Const) or part.value.__class__ is not str:
                break
            names.append(part.value)
        self._data.add(tuple(names))

    def call_builtin(self, name: str) -> None:
        if not REGISTRY[name].pure:
            self._impure.add(name)

    # -- rules

    def group(self, group: Group, root: Aliases) -> Aliases:
        """Follow a rule; give what its value may stand for."""
        if group.kind == "function":
            return _NONE
        return self._remember((group.number, root), lambda: self._definitions(group, root, ()))

    def function(self, path: tuple[str, ...], arguments: Sequence[Aliases], root: Aliases) -> Aliases:
        node = self._tree.root.find(path)
        if node is None or node.group is None:
            return _NONE
        group = node.group
        if len(self._known) > MAX_CONTEXTS:
            for argument in arguments:
                self.use(argument)
            arguments = [_NONE] * len(arguments)
        return self._remember((group.number, root, *arguments), lambda: self._definitions(group, root, arguments))

    def is_mocked(self, function: Function) -> bool:
        return function in self._mocked

    def _remember(self, known: Key, follow: Any) -> Aliases:
        if known not in self._known:
            self._known[known] = _NONE  # rules are not recursive; this is for a circle through `with` alone
            self._known[known] = follow()
        return self._known[known]

    def _definitions(self, group: Group, root: Aliases, arguments: Sequence[Aliases]) -> Aliases:
        definitions = [*group.definitions, *([group.default] if group.default else [])]
        found = [self._definition(definition, root, arguments) for definition in definitions]
        aliases = frozenset().union(*found) if found else _NONE
        single = len(group.definitions) == 1 and not _has_choice(group.definitions[0])
        if group.kind in ("set", "object") or not single:
            # Its values are compared with one another, or become parts of a collection.
            self.use(aliases)
            return _NONE
        return aliases

    def _definition(self, definition: Definition, root: Aliases, arguments: Sequence[Aliases]) -> Aliases:
        scope = _Scope(self, root)
        for pattern, aliases in zip(definition.arguments or (), arguments, strict=False):
            scope.match(pattern, aliases)
        scope.steps(definition.body)
        for head in (*definition.keys, *([definition.member] if definition.member is not None else [])):
            self.use(scope.term(head))
        aliases = scope.term(definition.value) if definition.value is not None else _NONE
        if definition.otherwise is not None:
            aliases |= self._definition(definition.otherwise, root, arguments)
        return aliases

    def tree(self, node: Node, root: Aliases) -> None:
        for group in node.groups():
            self.use(self.group(group, root))
        self._data.add(node.path)

    @property
    def root(self) -> Node:
        return self._tree.root


def _has_choice(definition: Definition) -> bool:
    """Tell whether a body may hold in more than one way, or gives way to an `else`."""
    bound: set[int] = set().union(*map(locals_of, definition.arguments or ()))
    for step in definition.body:
        for part in (
            (step.left, step.right) if isinstance(step, Unify) else (step.term,) if isinstance(step, Check) else ()
        ):
            if isinstance(part, Path) and not set().union(*map(locals_of, part.path)) <= bound:
                return True
        if isinstance(step, Invoke) and step.function.builtin and REGISTRY[step.function.path[0]].relation:
            return True
        bound |= locals_of(step, closures=False)
    return definition.otherwise is not None


class _Scope:
    """Follows the steps of one body. `root` is what `input` stands for in it."""

    def __init__(self, owner: Dependencies, root: Aliases, bound: dict[int, Aliases] | None = None) -> None:
        self._owner = owner
        self._root = root
        self._bound = dict(bound or {})

    def steps(self, steps: Steps) -> None:
        for step in steps:
            self._step(step)

    def _step(self, step: Step) -> None:
        outer = self._root
        for override in step.overrides:
            self._override(override, outer)
        match step:
            case Unify():
                self._unify(step)
            case Invoke():
                result = self._invoke(step)
                if step.output is not None:
                    self.match(step.output, result)
                else:
                    self._owner.use(result)
            case Check():
                self._owner.use(self.term(step.term))
            case Negation():
                self._step(step.step)
            case ForAll():
                self._owner.use(self.term(step.domain))
                inner = _Scope(self._owner, self._root, self._bound)
                for local in (step.key, step.value):
                    if local is not None:
                        inner._bound[local.number] = _NONE
                inner.steps(step.body)
        self._root = outer

    def _override(self, override: Override, outer: Aliases) -> None:
        value = _NONE
        if isinstance(override.value, Function):
            if not override.value.builtin:
                self._replacement(override.value)
            else:
                self._owner.call_builtin(override.value.path[0])
        else:
            value = self.term(override.value)
        target = override.target
        if isinstance(target, Path) and target.root == "input" and not target.path:
            self._root = value
        else:
            # What is put in may be seen from anywhere below: it counts as used.
            self._owner.use(value)
            if isinstance(target, Path) and target.root == "data":
                self._owner.read_data(target.path)
            elif isinstance(target, Path):
                self._owner.use(outer - _WHOLE)

    def _replacement(self, function: Function) -> None:
        node = self._owner.root.find(function.path)
        arity = node.group.arity if node is not None and node.group is not None else 0
        self._owner.use(self._owner.function(function.path, [_NONE] * arity, self._root))
        self._owner.use(self._owner.function(function.path, [_NONE] * arity, _WHOLE))

    def _invoke(self, step: Invoke) -> Aliases:
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
            self._owner.use(self._owner.function(function.path, [_NONE] * len(arguments), self._root))
        return _NONE

    def _object_get(self, step: Invoke, arguments: list[Aliases]) -> Aliases:
        """`object.get` with a fixed key goes on like a reference."""
        wanted = step.arguments[1]
        names = wanted.value if isinstance(wanted, Const) else None
        path = [names] if isinstance(names, str) else _constant_names(wanted)
        if path is None:
            for argument in arguments:
                self._owner.use(argument)
            return _NONE
        found = frozenset((*alias, *path) for alias in arguments[0])
        self._owner.touch(found)
        return found | arguments[2]

    def _unify(self, step: Unify) -> None:
        left, right = step.left, step.right
        if self._is_open(left) and not isinstance(left, Path):
            self.match(left, self.term(right))
        elif self._is_open(right) and not isinstance(right, Path):
            self.match(right, self.term(left))
        else:
            self._owner.use(self.term(left))
            self._owner.use(self.term(right))

    def _is_open(self, term: Term) -> bool:
        return any(number not in self._bound for number in locals_of(term, closures=False))

    def match(self, pattern: Term, aliases: Aliases) -> None:
        """Bind the locals of a pattern. Taking a value apart looks at its form: that is a deep read."""
        if isinstance(pattern, Local) and pattern.number not in self._bound:
            self._bound[pattern.number] = aliases
            return
        self._owner.use(aliases)
        self._owner.use(self._consumed(pattern))
        for number in locals_of(pattern, closures=False):
            self._bound.setdefault(number, _NONE)

    def _consumed(self, term: Term) -> Aliases:
        known = locals_of(term, closures=False) & self._bound.keys()
        return frozenset().union(*(self._bound[number] for number in known)) if known else _NONE

    # -- terms

    def term(self, term: Term) -> Aliases:
        """Give what a term may stand for; collections of input are read at once."""
        if isinstance(term, Const):
            return _NONE
        if isinstance(term, Local):
            return self._bound.setdefault(term.number, _NONE)
        if isinstance(term, Path):
            return self._path(term)
        if isinstance(term, Comp):
            inner = _Scope(self._owner, self._root, self._bound)
            inner.steps(term.body)
            for head in (term.key, term.value):
                if head is not None:
                    self._owner.use(inner.term(head))
            return _NONE
        for part in parts(term):
            self._owner.use(self.term(part))
        return _NONE

    def _path(self, path: Path) -> Aliases:
        if isinstance(path.root, Local):
            return self._navigate(self.term(path.root), path.path)
        if path.root == "input":
            self._owner.touch(self._root)
            return self._navigate(self._root, path.path)
        return self._document(path)

    def _navigate(self, aliases: Aliases, path: Sequence[Term]) -> Aliases:
        for index, part in enumerate(path):
            if isinstance(part, Const) and _is_name(part.value):
                aliases = frozenset((*alias, part.value) for alias in aliases)
                self._owner.touch(aliases)
                continue
            self._owner.use(aliases)
            for key in path[index:]:
                self._owner.use(self.term(key))
            return _NONE
        return aliases

    def _document(self, path: Path) -> Aliases:
        node, taken = self._owner.root, 0
        for part in path.path:
            if node.group is not None or not isinstance(part, Const) or part.value not in node.children:
                break
            node, taken = node.children[part.value], taken + 1
        rest = path.path[taken:]
        if node.group is not None and not node.children:
            return self._navigate(self._owner.group(node.group, self._root), rest)
        if rest and isinstance(rest[0], Const) and node.group is None:
            self._owner.read_data(path.path)
        else:
            self._owner.tree(node, self._root)
        for part in rest:
            self._owner.use(self.term(part))
        return _NONE


def _is_name(value: Any) -> bool:
    return value.__class__ is str or (value.__class__ is int and value >= 0)


def _constant_names(term: Term) -> list[str] | None:
    from ztag_extauthz.rego.compile_terms import fold

    constant = fold(term)
    if constant is None or constant.value.__class__ is not list:
        return None
    return constant.value if all(_is_name(name) for name in constant.value) else None
