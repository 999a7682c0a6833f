"""Which parts of the input, of data, and which impure built-ins a decision can depend on.

Every term is followed to the places in the input that it may stand for (its *aliases*). Going on from one is an
existence read, using its value is a deep read; what cannot be followed (open or computed keys, collections that
hold input) is read deeply at once. So the answer may name too much, never too little.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ztag_extauthz.rego.analysis.aliases import NONE, WHOLE, Aliases, Scope
from ztag_extauthz.rego.analysis.tree import Group, Node, Tree
from ztag_extauthz.rego.lower import ir
from ztag_extauthz.rego.lower.names import find_builtin
from ztag_extauthz.rego.reads import Reads, normalised

if TYPE_CHECKING:
    from ztag_extauthz.rego.frozen import InputPath

Key: TypeAlias = tuple[Any, ...]

MAX_CONTEXTS: Final = 2_000
"""Beyond so many (rule, arguments, input) combinations arguments are no longer told apart."""


class Dependencies:
    """Follows an entry point through the rules that it may evaluate."""

    def __init__(self, tree: Tree, overrides: Sequence[ir.Override]) -> None:
        self._tree = tree
        self._mocked = {item.target for item in overrides if isinstance(item.target, ir.Function)}
        self._deep: set[InputPath] = set()
        self._exists: set[InputPath] = set()
        self._data: set[tuple[str, ...]] = set()
        self._impure: set[str] = set()
        self._rules: set[tuple[str, ...]] = set()
        self._known: dict[Key, Aliases] = {}

    def of(self, path: tuple[str, ...]) -> Reads:
        """Give what the document at a path below `data` depends on."""
        scope = Scope(self, WHOLE)
        self.use(scope.term(ir.Path("data", tuple(map(ir.Const, path)))))
        return normalised(self._deep, self._exists, self._data, self._impure, self._rules)

    # -- what is read

    def use(self, aliases: Aliases) -> None:
        self._deep |= aliases

    def touch(self, aliases: Aliases) -> None:
        self._exists |= aliases

    def read_data(self, path: Iterable[ir.Term]) -> None:
        names: list[str] = []
        for part in path:
            if not isinstance(part, ir.Const) or part.value.__class__ is not str:
                break
            names.append(part.value)
        self._data.add(tuple(names))

    def call_builtin(self, name: str) -> None:
        if not find_builtin(name).pure:
            self._impure.add(name)

    # -- rules

    def group(self, group: Group, root: Aliases) -> Aliases:
        """Follow a rule; give what its value may stand for."""
        self._rules.add(group.path)
        if group.kind == "function":
            return NONE
        return self._remember((group.number, root), lambda: self._definitions(group, root, ()))

    def function(self, path: tuple[str, ...], arguments: Sequence[Aliases], root: Aliases) -> Aliases:
        node = self._tree.root.find(path)
        if node is None or node.group is None:
            return NONE
        group = node.group
        self._rules.add(group.path)
        if len(self._known) > MAX_CONTEXTS:
            for argument in arguments:
                self.use(argument)
            arguments = [NONE] * len(arguments)
        return self._remember((group.number, root, *arguments), lambda: self._definitions(group, root, arguments))

    def is_mocked(self, function: ir.Function) -> bool:
        return function in self._mocked

    def _remember(self, known: Key, follow: Any) -> Aliases:
        if known not in self._known:
            self._known[known] = NONE  # rules are not recursive; this is for a circle through `with` alone
            self._known[known] = follow()
        return self._known[known]

    def _definitions(self, group: Group, root: Aliases, arguments: Sequence[Aliases]) -> Aliases:
        definitions = [*group.definitions, *([group.default] if group.default else [])]
        found = [self._definition(definition, root, arguments) for definition in definitions]
        aliases = frozenset().union(*found) if found else NONE
        single = len(group.definitions) == 1 and not _has_choice(group.definitions[0])
        if group.kind in ("set", "object") or not single:
            # Its values are compared with one another, or become parts of a collection.
            self.use(aliases)
            return NONE
        return aliases

    def _definition(self, definition: ir.Definition, root: Aliases, arguments: Sequence[Aliases]) -> Aliases:
        scope = Scope(self, root)
        for pattern, aliases in zip(definition.arguments or (), arguments, strict=False):
            scope.match(pattern, aliases)
        scope.steps(definition.body)
        for head in (*definition.keys, *([definition.member] if definition.member is not None else [])):
            self.use(scope.term(head))
        aliases = scope.term(definition.value) if definition.value is not None else NONE
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


def _has_choice(definition: ir.Definition) -> bool:
    """Tell whether a body may hold in more than one way, or gives way to an `else`."""
    bound: set[int] = set().union(*map(ir.locals_of, definition.arguments or ()))
    for step in definition.body:
        for part in (
            (step.left, step.right)
            if isinstance(step, ir.Unify)
            else (step.term,)
            if isinstance(step, ir.Check)
            else ()
        ):
            if isinstance(part, ir.Path) and not set().union(*map(ir.locals_of, part.path)) <= bound:
                return True
        if isinstance(step, ir.Invoke) and step.function.builtin and find_builtin(step.function.path[0]).relation:
            return True
        bound |= ir.locals_of(step, closures=False)
    return definition.otherwise is not None
