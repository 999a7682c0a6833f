"""Graphs, as objects of neighbours, and `walk` through a document."""

from collections import deque
from collections.abc import Iterator
from typing import Any

from ztag_extauthz.rego.builtins.interface import Context, builtin, check_size, obj, type_error
from ztag_extauthz.rego.values import Value, key, members, ordered_forms, unkey


def _vertices(value: Value) -> list[Value]:
    if value.__class__ is list:
        return value
    return members(value) if value.__class__ is frozenset else []


def _start(value: Value) -> list[Value]:
    if value.__class__ not in (list, frozenset):
        raise type_error(2, value, "{array, set}")
    return _vertices(value)


@builtin("graph.reachable", context=True)
def reachable(context: Context, graph: Value, start: Value) -> Value:
    graph = obj(graph, 1)
    queue = deque(map(key, _start(start)))
    reached: set[Any] = set()
    while queue:
        form = queue.popleft()
        if form in reached or form not in graph:
            continue
        context.check()
        reached.add(form)
        queue.extend(map(key, _vertices(graph[form])))
    return frozenset(reached)


@builtin("graph.reachable_paths", context=True)
def reachable_paths(context: Context, graph: Value, start: Value) -> Value:
    """Give every way from the start until it ends, leaves the graph, or would come back to itself."""
    graph = obj(graph, 1)
    paths: set[Any] = set()
    size = 0
    for node in _start(start):
        if key(node) not in graph:
            continue
        for path in _paths(context, graph, node):
            size += len(path)
            check_size(size)
            paths.add(key(path))
    return frozenset(paths)


def _paths(context: Context, graph: dict[Any, Value], root: Value) -> Iterator[list[Value]]:
    neighbours = _vertices(graph[key(root)])
    if not neighbours:
        yield [root]
    # The first step is not looked at for a way back: a node next to itself gives [node, node], as in OPA.
    pending: list[tuple[list[Value], Value]] = [([root], neighbour) for neighbour in neighbours]
    while pending:
        context.check()
        path, node = pending.pop()
        form = key(node)
        if form not in graph:
            yield path
            continue
        longer = [*path, node]
        seen = set(map(key, longer))
        neighbours = _vertices(graph[form])
        if not neighbours or any(key(neighbour) in seen for neighbour in neighbours):
            yield longer
        pending += [(longer, neighbour) for neighbour in neighbours if key(neighbour) not in seen]


@builtin("walk", context=True, relation=True)
def walk(context: Context, document: Value) -> Iterator[Value]:
    """Give `[path, value]` for a document and everything in it, the outer before the inner."""
    pending: list[tuple[list[Value], Value]] = [([], document)]
    while pending:
        path, value = pending.pop()
        context.check()
        yield [path, value]
        pending += [([*path, place], member) for place, member in reversed(_children(value))]


def _children(value: Value) -> list[tuple[Value, Value]]:
    kind = value.__class__
    if kind is list:
        return list(enumerate(value))
    if kind is dict:
        return [(unkey(form), value[form]) for form in ordered_forms(value)]
    if kind is frozenset:
        return [(member, member) for member in members(value)]
    return []
