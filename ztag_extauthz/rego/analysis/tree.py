"""The rules of all modules as one tree of data, grouped by the fixed part of their heads."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from ztag_extauthz.rego.lower.ir import Definition
from ztag_extauthz.rego.lower.names import Mistakes
from ztag_extauthz.rego.syntax.nodes import Module


@dataclass(slots=True)
class Group:
    """All definitions of one rule. `kind` is complete, set, object or function."""

    number: int
    path: tuple[str, ...]
    kind: str
    definitions: list[Definition] = field(default_factory=list)
    default: Definition | None = None

    @property
    def name(self) -> str:
        return ".".join(("data", *self.path))

    @property
    def first(self) -> Definition:
        """Give the definition that mistakes of the rule are shown at."""
        found = self.definitions[0] if self.definitions else self.default
        if found is None:
            raise AssertionError(self.path)
        return found

    @property
    def arity(self) -> int:
        return len(self.first.arguments or ())


@dataclass(slots=True)
class Node:
    path: tuple[str, ...]
    children: dict[str, "Node"] = field(default_factory=dict)
    group: Group | None = None
    package: bool = False  # a package, or above one: it is an object even where no rule gives anything

    def find(self, path: tuple[str, ...]) -> "Node | None":
        node: Node | None = self
        for name in path:
            node = node.children.get(name) if node else None
        return node

    def groups(self) -> Iterator[Group]:
        """Give all groups at and below this node, functions too."""
        if self.group is not None:
            yield self.group
        for child in self.children.values():
            yield from child.groups()


def kind_of(definition: Definition) -> str:
    if definition.arguments is not None:
        return "function"
    if definition.keys:
        return "object"
    return "complete" if definition.member is None else "set"


class Tree:
    def __init__(self) -> None:
        self.root = Node((), package=True)
        self.groups: list[Group] = []

    def node(self, path: tuple[str, ...], *, package: bool = False) -> Node:
        node = self.root
        for index, name in enumerate(path):
            if name not in node.children:
                node.children[name] = Node(path[: index + 1])
            node = node.children[name]
            node.package |= package
        return node

    def add(self, definition: Definition, module: Module, mistakes: Mistakes) -> None:
        node = self.node(definition.path)
        kind = kind_of(definition)
        if node.group is None:
            node.group = Group(len(self.groups), definition.path, kind)
            self.groups.append(node.group)
        group = node.group
        if group.kind != kind or _shapes_differ(group, definition):
            message = f"conflicting rules {group.name} found"
            mistakes.add(module, definition.position, "rego_type_error", message)
        elif not definition.default:
            group.definitions.append(definition)
        elif group.default is None:
            group.default = definition
        else:
            message = f"multiple default rules {group.name} found at {group.default.place}, {definition.place}"
            mistakes.add(module, definition.position, "rego_type_error", message)

    def check(self, modules: dict[str, Module], mistakes: Mistakes) -> None:
        """Find rules that stand in the way of others: `p := 1` beside `p.q := 2`, or beside a package `p`."""
        for group in self.groups:
            node = self.root.find(group.path)
            first = group.first
            if node is None or (not node.children and not node.package):
                continue
            module = modules[first.file]
            if node.package:
                message = f"package {'.'.join(group.path)} conflicts with rule {group.name} defined at {first.place}"
                mistakes.add(module, first.position, "rego_type_error", message)
            elif group.kind != "object" or any(below.kind == "function" for below in node.groups()):
                inside = " ".join(sorted(below.name for below in node.groups() if below is not group))
                message = f"rule {group.name} conflicts with [{inside}]"
                mistakes.add(module, first.position, "rego_type_error", message)


def _shapes_differ(group: Group, definition: Definition) -> bool:
    others = group.definitions or ([group.default] if group.default else [])
    if not others:
        return False
    if group.kind == "function":
        return len(others[0].arguments or ()) != len(definition.arguments or ())
    return False
