"""References: into input, base documents, rules and locals."""

from collections.abc import Sequence

from ztag_extauthz.rego.analysis.tree import Node
from ztag_extauthz.rego.compile.terms import TermCompiler
from ztag_extauthz.rego.lower.ir import Const, Local, Path, Term
from ztag_extauthz.rego.values import Value


class PathCompiler(TermCompiler):
    def path(self, term: Path) -> tuple[str, bool]:
        """Follow a reference whose locals are all bound."""
        if term.root == "input":
            known = self._known_input(term)
            if known is not None:
                return known, False
        start, certain, rest = self.start(term)
        if not rest:
            return start, certain
        return self._follow(start, rest, self.manner(term)), False

    def _known_input(self, path: Path) -> str | None:
        """Look a fixed path into the input up once in a function; None for other references."""
        names = input_names(path)
        if not names:
            return None
        own = (self.w.state, *map(self.unit.constant, names))
        known = self.w.recall(own)
        if known is None:
            known = self.w.fresh()
            self._strings(known, self._input(), list(names), "")
            self.w.remember(own, known)
        return known

    def manner(self, path: Path) -> str:
        """Tell how to look into what a reference leads to, by the ending of the function that does it.

        `_base`: OPA's paths into its store are text. `_sure`: whether they are depends on what OPA has remembered,
        on its index of rules, or on what `with` has put where.
        """
        if path.root != "data":
            return ""
        node, names = self._descend(path.path)
        if node is None:
            return "_sure" if self.sure or self.policy.is_patched(names) else "_base"
        if node.group is None or node.children:
            return "_sure"
        whole = node.group.kind in ("set", "object") and self.policy.point(node.group) is None
        return "_sure" if whole and self.policy.looks_into_base else ""

    def start(self, term: Path) -> tuple[str, bool, Sequence[Term]]:
        """Write the first part of a reference; give its value, whether it is defined, and what is left to follow."""
        if isinstance(term.root, Local):
            return self.w.bound[term.root.number], True, term.path
        if term.root == "input":
            return self._input(), False, term.path
        return self._data(term.path)

    def _input(self) -> str:
        return f"{self.w.state}.input"

    def _data(self, path: tuple[Term, ...]) -> tuple[str, bool, Sequence[Term]]:
        node, names = self._descend(path)
        if self.policy.is_patched(names):
            return self._patched(node, names, path)
        return self._unpatched(node, names, path)

    def _descend(self, path: tuple[Term, ...]) -> tuple[Node | None, tuple[str, ...]]:
        """Follow the fixed names of a path in the tree of rules, to a rule or out of the tree."""
        node: Node | None = self.policy.tree.root
        names: list[str] = []
        for part in path:
            if node is None or node.group is not None or not isinstance(part, Const):
                break
            if part.value.__class__ is not str:
                node = None
                break
            node = node.children.get(part.value)
            names.append(part.value)
        return node, tuple(names)

    def _unpatched(
        self, node: Node | None, names: tuple[str, ...], path: tuple[Term, ...]
    ) -> tuple[str, bool, Sequence[Term]]:
        rest = path[len(names) :]
        if node is None:
            fixed = _constants(path)
            return self._base(fixed), False, path[len(fixed) :]
        if node.group is not None and not node.children:
            name = self.w.fresh()
            point = self.policy.point(node.group) if rest and self.is_known(rest[0]) else None
            if point is not None:
                self.w.line(f"{name} = {point}({self.w.state}, {self.value(rest[0])})")
                return name, False, rest[1:]
            self.w.line(f"{name} = {self.policy.rule_function(node.group)}({self.w.state})")
            return name, node.group.default is not None or node.group.kind in ("set", "object"), rest
        return self._subtree(node, rest)

    def _subtree(self, node: Node, rest: Sequence[Term]) -> tuple[str, bool, Sequence[Term]]:
        """Follow a reference into several rules at once: to one of them if the next part is known."""
        tree = self.policy.tree_name(node)
        name = self.w.fresh()
        if rest and node.group is None and self.is_known(rest[0]):
            self.w.line(f"{name} = tree_get({tree}, {self.w.state}, {self.value(rest[0])})")
            return name, False, rest[1:]
        self.w.line(f"{name} = tree_value({tree}, {self.w.state})")
        return name, False, rest

    def _base(self, path: tuple[Value, ...]) -> str:
        if self.policy.is_patched(path):
            return self._named(f"lookup_sure({self.w.state}.data, {self.unit.constant(list(path))})")
        return self.unit.data(path)

    def _patched(
        self, node: Node | None, names: tuple[str, ...], path: tuple[Term, ...]
    ) -> tuple[str, bool, Sequence[Term]]:
        """Look first whether a `with` has put something where the reference leads."""
        name = self.w.fresh()
        self.w.line(f"{name} = {self.w.state}.patched({self.unit.name('w', names)})")
        with self.w.silent(), self.w.block(f"if {name} is P:"):
            value, _, rest = self._unpatched(node, names, path)
            taken = path[len(names) : len(path) - len(rest)]
            self.w.line(f"{name} = {value}")
        if taken:
            following = ", ".join(map(self.value, taken))
            self.w.line(f"else: {name} = lookup({name}, ({following},))")
        return name, False, rest

    # -- following

    def _follow(self, start: str, rest: Sequence[Term], manner: str) -> str:
        """Write the look-up of known terms one after the other; undefined is `U`."""
        name = self.w.fresh()
        keys = [part.value for part in rest if isinstance(part, Const)]
        if len(keys) == len(rest) and all(map(_is_name, keys)):
            self._strings(name, start, keys, manner)
            return name
        if len(rest) == 1:
            self.w.line(f"{name} = get{manner}({start}, {self.value(rest[0])})")
        else:
            following = ", ".join(map(self.value, rest))
            self.w.line(f"{name} = lookup{manner}({start}, ({following}))")
        return name

    def _strings(self, name: str, start: str, keys: list[str], manner: str) -> None:
        """Look up names in objects directly; what is no object is left to `lookup`."""
        chain = "".join(f"[{self.unit.constant(wanted)}]" for wanted in keys)
        self.w.line(f"try: {name} = {start}{chain}")
        self.w.line(f"except KeyError: {name} = U")
        self.w.line(f"except TypeError: {name} = lookup{manner}({start}, {self.unit.constant(keys)})")


def _is_name(value: Value) -> bool:
    """Tell whether a value is a text that is no number: that one might find something else than a name."""
    return value.__class__ is str and not value.isdecimal()


def input_names(path: Path) -> tuple[str, ...]:
    """Give the names of a path into the input that consists of names alone."""
    if path.root != "input":
        return ()
    names = tuple(part.value for part in path.path if isinstance(part, Const) and part.value.__class__ is str)
    return names if len(names) == len(path.path) else ()


def _constants(path: Sequence[Term]) -> tuple[Value, ...]:
    """Give the values of the constants that a path begins with."""
    fixed: list[Value] = []
    for part in path:
        if not isinstance(part, Const):
            break
        fixed.append(part.value)
    return tuple(fixed)
