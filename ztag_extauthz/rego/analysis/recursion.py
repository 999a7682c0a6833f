"""Rules that need themselves: OPA refuses them, however they would end."""

from collections.abc import Iterator, Mapping
from typing import Any

from ztag_extauthz.rego.analysis.tree import Group, Node, Tree
from ztag_extauthz.rego.lower.ir import Const, Definition, Function, Invoke, Override, Path, walk
from ztag_extauthz.rego.lower.names import Mistakes
from ztag_extauthz.rego.syntax.nodes import Module


def check_recursion(tree: Tree, modules: Mapping[str, Module], mistakes: Mistakes) -> list[int]:
    """Find the rules that stand on a circle of references; give the others, each after those that it needs."""
    graph = {group.number: sorted(needed(group, tree)) for group in tree.groups}
    order = _order(graph)
    settled = set(order)
    for group in tree.groups:
        circle = _circle(graph, group.number) if group.number not in settled else []
        if circle:
            first = group.first
            names = " -> ".join(tree.groups[number].name for number in circle)
            message = f"rule {group.name} is recursive: {names}"
            mistakes.add(modules[first.file], first.position, "rego_recursion_error", message)
    return order


def _order(graph: dict[int, list[int]]) -> list[int]:
    """Take away the rules that need nothing that remains, again and again; those on circles always remain."""
    users: dict[int, list[int]] = {number: [] for number in graph}
    for number, following in graph.items():
        for other in following:
            users[other].append(number)
    counts = {number: len(following) for number, following in graph.items()}
    free = [number for number, count in counts.items() if count == 0]
    for number in free:
        for user in users[number]:
            counts[user] -= 1
            if counts[user] == 0:
                free.append(user)
    return free


def _circle(graph: dict[int, list[int]], start: int) -> list[int]:
    """Find a shortest way from a rule back to itself."""
    came_from: dict[int, int] = {}
    queue = [start]
    for number in queue:
        for following in graph[number]:
            if following == start:
                way = [start]
                while number != start:
                    way.append(number)
                    number = came_from[number]  # noqa: PLW2901
                return [start, *reversed(way[1:]), start]
            if following not in came_from:
                came_from[following] = number
                queue.append(following)
    return []


def needed(group: Group, tree: Tree) -> set[int]:
    """Give the numbers of the rules that a rule refers to directly."""
    found: set[int] = set()
    definitions = [*group.definitions, *([group.default] if group.default else [])]
    for definition in definitions:
        link: Definition | None = definition
        while link is not None:
            heads = [
                term for term in (link.member, link.value, *link.keys, *(link.arguments or ())) if term is not None
            ]
            for node in (*link.body, *heads):
                found |= set(references(node, tree))
            link = link.otherwise
    return found


def references(node: Any, tree: Tree) -> Iterator[int]:
    for part in walk(node):
        if isinstance(part, Path) and part.root == "data":
            yield from (group.number for group in _groups(part, tree.root))
        elif isinstance(part, Invoke) and not part.function.builtin:
            yield from _called(part.function, tree)
        elif isinstance(part, Override) and isinstance(part.value, Function) and not part.value.builtin:
            yield from _called(part.value, tree)


def _called(function: Function, tree: Tree) -> Iterator[int]:
    node = tree.root.find(function.path)
    if node is not None and node.group is not None:
        yield node.group.number


def _groups(path: Path, root: Node) -> list[Group]:
    """Give the rules that a reference may lead to."""
    nodes, found = [root], []
    for part in path.path:
        found += [node.group for node in nodes if node.group is not None]
        if isinstance(part, Const):
            nodes = [
                node.children[part.value]
                for node in nodes
                if part.value.__class__ is str and part.value in node.children
            ]
        else:
            nodes = [child for node in nodes for child in node.children.values()]
    return found + [group for node in nodes for group in node.groups()]
