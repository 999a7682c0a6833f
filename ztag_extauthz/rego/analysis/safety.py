"""Steps in an order in which each local is bound before it is needed, or the locals for which there is none.

The order is OPA's: round after round the first steps that can be taken, so a body in a good order stays as it is.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heappush
from typing import Any

from ztag_extauthz.rego.analysis.bindings import outputs
from ztag_extauthz.rego.lower.ir import Comp, Definition, ForAll, Step, Steps, has_closure, locals_of, parts
from ztag_extauthz.rego.syntax.nodes import Position


@dataclass(slots=True)
class Unsafe:
    """The locals that nothing binds, with the place of a step that needs them; and steps that stand too early."""

    found: dict[int, Position] = field(default_factory=dict)
    early: list[Position] = field(default_factory=list)

    def add(self, numbers: set[int], position: Position) -> None:
        for number in sorted(numbers):
            self.found.setdefault(number, position)

    def misplaced(self) -> Iterator[tuple[Position, str]]:
        for place in self.early:
            yield place, "OPA would evaluate this too early, before all that it needs is known"

    def messages(self, names: Sequence[str]) -> list[tuple[Position, str]]:
        named = [(place, f"var {names[number]} is unsafe") for number, place in self.found.items() if names[number]]
        return named or [(place, "expression is unsafe") for place in list(self.found.values())[:1]]


def order_definition(definition: Definition, unsafe: Unsafe) -> Definition:
    """Put the body of a definition in order; its head may only use what the body binds."""
    heads = (*definition.keys, *(term for term in (definition.member, definition.value) if term is not None))
    arguments = set().union(*map(locals_of, definition.arguments or ()))
    body, bound = order_steps(definition.body, arguments, unsafe)
    unsafe.add(set().union(*(locals_of(head, closures=False) for head in heads)) - bound, definition.position)
    changes: dict[str, Any] = {"body": body}
    for name in ("member", "value"):
        if getattr(definition, name) is not None:
            changes[name] = _close(getattr(definition, name), bound, unsafe, definition.position)
    return replace(definition, **changes)


def order_steps(steps: Steps, bound: set[int], unsafe: Unsafe) -> tuple[Steps, set[int]]:
    """Put steps in order, and those of the bodies within them; `bound` are known before. Also gives what is after."""
    ordered, missing, early = _order(steps, bound)
    unsafe.early += [step.position for step in early]
    for step, numbers in missing:
        unsafe.add(numbers, step.position)
    known = set(bound)
    result: list[Step] = []
    for step in ordered:
        result.append(_close(step, known, unsafe, step.position))
        known |= locals_of(step, closures=False)
    return tuple(result), known


def _order(steps: Steps, bound: set[int]) -> tuple[list[Step], list[tuple[Step, set[int]]], list[Step]]:
    """Give the steps in order; those that lack locals, and which; those that OPA would take too early.

    Once the locals in the bodies within a step are known, OPA forgets about the others that the step needs.
    """
    needs = [locals_of(step, closures=False) for step in steps]
    visible = set().union(*needs)
    closed = [_closure_locals(step) & visible - bound for step in steps]
    users: defaultdict[int, list[int]] = defaultdict(list)
    for index, needed in enumerate(needs):
        for number in needed | closed[index]:
            users[number].append(index)
    safe, placed, early, taken = set(bound), [], {}, [False] * len(steps)
    queue = [(0, index) for index in range(len(steps))]
    heapify(queue)
    while queue:
        turn, index = heappop(queue)
        if taken[index] or not closed[index] <= safe:
            continue
        # Only its own locals: a body of thousands of steps has as many that do not concern this one.
        new = outputs(steps[index], safe & needs[index])
        if not needs[index] - new <= safe:
            if closed[index]:
                early[index] = steps[index]
            continue
        taken[index] = True
        placed.append(steps[index])
        safe |= new
        for other in sorted({user for number in new for user in users[number]}):
            if not taken[other]:
                heappush(queue, (turn if other > index else turn + 1, other))
    missing = [(step, (needs[index] | closed[index]) - safe) for index, step in enumerate(steps) if not taken[index]]
    return placed, missing, list(early.values())


def _closure_locals(step: Any) -> set[int]:
    """Give the locals inside the comprehensions and bodies of a step."""
    if not has_closure(step):
        return set()
    if isinstance(step, Comp):
        return locals_of(step)
    found = set().union(*map(locals_of, step.body)) if isinstance(step, ForAll) else set()
    for part in (step.domain,) if isinstance(step, ForAll) else parts(step):
        found |= _closure_locals(part)
    return found


def _close(node: Any, bound: set[int], unsafe: Unsafe, position: Position) -> Any:
    """Put the bodies within a node in order."""
    if not has_closure(node):
        return node
    if isinstance(node, Comp):
        body, known = order_steps(node.body, bound, unsafe)
        heads = [term for term in (node.key, node.value) if term is not None]
        unsafe.add(set().union(*(locals_of(term, closures=False) for term in heads)) - known, position)
        key = _close(node.key, known, unsafe, position) if node.key is not None else None
        return Comp(node.kind, key, _close(node.value, known, unsafe, position), body)
    if isinstance(node, ForAll):
        own = {local.number for local in (node.key, node.value) if local is not None}
        return replace(node, body=order_steps(node.body, bound | own, unsafe)[0])
    return _rebuild(node, bound, unsafe, position)


def _rebuild(node: Any, bound: set[int], unsafe: Unsafe, position: Position) -> Any:
    def closed(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(closed, value))
        return _close(value, bound, unsafe, position) if hasattr(value, "__dataclass_fields__") else value

    changes = {name: closed(getattr(node, name)) for name in node.__dataclass_fields__ if name != "position"}
    return replace(node, **changes)
