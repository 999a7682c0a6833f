"""A whole policy to Python source: each rule, comprehension and inner body that an entry point needs is a function."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from ztag_extauthz.rego.analysis.tree import Group, Node, Tree
from ztag_extauthz.rego.compile.emit import Unit, Writer
from ztag_extauthz.rego.compile.index import Subject, Test, choose
from ztag_extauthz.rego.compile.points import by_key, compile_point
from ztag_extauthz.rego.compile.rules import RuleCompiler, occurrences
from ztag_extauthz.rego.compile.steps import StepCompiler
from ztag_extauthz.rego.explain import Places
from ztag_extauthz.rego.lower import ir
from ztag_extauthz.rego.lower.fold import fold
from ztag_extauthz.rego.lower.names import find_builtin
from ztag_extauthz.rego.runtime.tree import TreeNode
from ztag_extauthz.rego.syntax.nodes import Position
from ztag_extauthz.rego.values import UNDEFINED, Value, key

EXPLAINED_DEFINITIONS: Final = 200


class PolicyCompiler:
    """Compiles what is asked for, and what that needs; each thing once."""

    def __init__(self, tree: Tree, overrides: Sequence[ir.Override], places: Places | None = None) -> None:
        self.tree = tree
        self.places = places  # of steps and rules, where what is compiled tells how it goes
        self.unit = Unit()
        self.trees: dict[tuple[str, ...], str] = {}
        self.tree_rules: list[tuple[TreeNode, str, str]] = []
        self._rules: dict[int, str] = {}
        self._points: dict[int, str | None] = {}
        self._waiting_points: list[Group] = []
        self._waiting: list[Group] = []
        self._builtins: dict[str, str] = {}
        self._constants: dict[int, Value] = {}
        self._file = ""
        self._counts: Counter[int] = Counter()
        self._patched = _data_targets(overrides)
        self.looks_into_base = any(map(_opens_base, tree.groups))
        self._mocked = {item.target for item in overrides if isinstance(item.target, ir.Function)}

    # -- what is asked for

    def rule_function(self, group: Group) -> str:
        """Give the name of a rule's function; it is compiled soon."""
        if group.number not in self._rules:
            kind = "function" if group.kind == "function" else "rule"
            self._rules[group.number] = f"{kind}_{group.number}"
            self._waiting.append(group)
        return self._rules[group.number]

    def point(self, group: Group) -> str | None:
        """Give the name of the function for one member of a rule, if there is one; not where `with` or a trace is."""
        if self.places is not None or self.is_patched(group.path):
            return None
        if group.number not in self._points:
            found = by_key(self, group)
            self._points[group.number] = None if found is None else f"point_{group.number}"
            if found is not None:
                self._waiting_points.append(found)
        return self._points[group.number]

    def function(self, path: tuple[str, ...]) -> str:
        node = self.tree.root.find(path)
        if node is None or node.group is None:
            raise AssertionError(path)
        return self.rule_function(node.group)

    def drain(self) -> None:
        """Compile what has been asked for, until nothing is left."""
        while self._waiting or self._waiting_points:
            if self._waiting:
                group = self._waiting.pop()
                RuleCompiler(self, group).compile(self._rules[group.number])
            else:
                group = self._waiting_points.pop()
                compile_point(self, group, f"point_{group.number}")

    def builtin(self, name: str) -> str:
        if name not in self._builtins:
            self._builtins[name] = self.unit.name("b", find_builtin(name).function)
        return self._builtins[name]

    def tree_name(self, node: Node) -> str:
        if node.path not in self.trees:
            self.trees[node.path] = self.unit.name("t", self._tree_node(node))
        return self.trees[node.path]

    def _tree_node(self, node: Node) -> TreeNode:
        made = TreeNode(node.path, node.package)
        if node.group is not None and node.group.kind != "function":
            fill = RuleCompiler(self, node.group).fill() if node.children else ""
            self.tree_rules.append((made, self.rule_function(node.group), fill))
        for name, child in node.children.items():
            if child.group is None or child.group.kind != "function":
                made.children[name] = self._tree_node(child)
        return made

    # -- what is asked about

    def constant_rule(self, group: Group) -> Value:
        """Give the value of a rule that is one constant, else UNDEFINED."""
        if group.number not in self._constants:
            only = group.definitions[0] if len(group.definitions) == 1 and group.default is None else None
            plain = only is not None and group.kind == "complete" and not only.body and only.otherwise is None
            constant = fold(only.value) if plain and only is not None and only.value is not None else None
            self._constants[group.number] = UNDEFINED if constant is None else constant.value
        return self._constants[group.number]

    def enter(self, definition: ir.Definition) -> None:
        """Take note of the definition that is compiled from now on."""
        self._file = definition.file
        self._counts = occurrences(definition)

    def note(self, writer: Writer, step: ir.Step) -> None:
        if self.places is not None:
            writer.trace(self.places.add(self._file, step.position))

    def choose(self, definitions: Sequence[ir.Definition]) -> tuple[Subject | None, list[Test | None]]:
        """Choose how to find the definitions that can hold; an explanation tries them all, unless they are many."""
        if self.places is not None and len(definitions) <= EXPLAINED_DEFINITIONS:
            return None, [None] * len(definitions)
        return choose(definitions)

    def is_unused(self, local: ir.Local) -> bool:
        return self._counts[local.number] <= 1

    def remaining(self) -> Counter[int]:
        """Give how often each local is still to come, at the beginning of a body."""
        return Counter(self._counts)

    def place(self, position: Position) -> str:
        return f"{self._file}:{position[0]}"

    def is_patched(self, path: Sequence[Value]) -> bool:
        """Tell whether a `with` may put something at a path, above it or below it."""
        own = tuple(path)
        return any(own[: len(target)] == target[: len(own)] for target in self._patched)

    def is_mocked(self, function: ir.Function) -> bool:
        return function in self._mocked

    def members(self, values: Value) -> frozenset[Any]:
        """Give the values of a constant collection as a set of key forms."""
        return frozenset(map(key, values.values() if values.__class__ is dict else values))

    # -- functions within functions

    def _closure(self, prefix: str, given: Sequence[int], fail: str, *extra: str) -> Writer:
        names = [f"p{number}" for number in given]
        writer = Writer(self.unit, self.unit.fresh(prefix), ["s", *extra, *names], fail)
        writer.bound = dict(zip(given, names, strict=True))
        return writer

    def comprehension(self, comp: ir.Comp, given: Sequence[int]) -> str:
        """Write a function that makes the collection of a comprehension."""
        writer = self._closure("comp_", given, "return out" if comp.kind != "set" else "return frozenset(out)")
        compiler = StepCompiler(self, writer, ordered=comp.kind == "array")
        writer.first({"array": "out = []", "set": "out = set()", "object": "out = {}"}[comp.kind])
        compiler.steps(comp.body)
        if comp.kind == "array":
            writer.line(f"out.append({compiler.value(comp.value)})")
        elif comp.kind == "set":
            writer.line(f"out.add({compiler.form(comp.value)})")
        elif comp.key is not None:
            wanted, value = compiler.value(comp.key), compiler.value(comp.value)
            writer.line(f"put(out, {wanted}, {value}, {self.unit.constant(self._file)})")
        writer.finish("return frozenset(out)" if comp.kind == "set" else "return out")
        return writer.name

    def body_test(self, body: ir.Steps, given: Sequence[int]) -> str:
        """Write a function that tells whether a body holds."""
        writer = self._closure("test_", given, "return False")
        StepCompiler(self, writer).steps(body)
        writer.line("return True")
        writer.finish("return False" if writer.blocks else "")
        return writer.name

    def entry(self, path: tuple[str, ...]) -> str:
        """Write a function that gives the document at a path below `data`."""
        writer = self._closure("entry_", (), "return U")
        value = StepCompiler(self, writer).value(ir.Path("data", tuple(map(ir.Const, path))))
        writer.finish(f"return {value}")
        return writer.name

    def query(self, body: ir.Steps, names: Sequence[str], file: str) -> str:
        """Write a function that gives the variables of a query, once for each solution."""
        self._file = file
        self._counts = Counter(part.number for step in body for part in ir.walk(step) if isinstance(part, ir.Local))
        self._counts.update({number: 2 for number, name in enumerate(names) if name})
        writer = self._closure("query_", (), "return out")
        writer.first("out = []")
        compiler = StepCompiler(self, writer)
        compiler.steps(body)
        shown = [(name, writer.bound[number]) for number, name in enumerate(names) if name and number in writer.bound]
        writer.line("out.append({" + ", ".join(f"{self.unit.constant(n)}: {v}" for n, v in shown) + "})")
        writer.finish("return out")
        return writer.name


def _opens_base(group: Group) -> bool:
    """Tell whether a rule looks into base documents by what is not known beforehand."""
    steps = (step for definition in group.definitions for step in definition.body)
    paths = (node for step in steps for node in ir.walk(step) if isinstance(node, ir.Path) and node.root == "data")
    return any(not isinstance(part, ir.Const) for path in paths for part in path.path)


def _data_targets(overrides: Sequence[ir.Override]) -> set[tuple[Value, ...]]:
    targets = [item.target for item in overrides if isinstance(item.target, ir.Path) and item.target.root == "data"]
    return {tuple(part.value for part in target.path if hasattr(part, "value")) for target in targets}
