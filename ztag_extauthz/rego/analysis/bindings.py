"""Which locals a step binds, once some are bound already."""

from ztag_extauthz.rego.lower.ir import (
    Check,
    Comp,
    Invoke,
    ListTerm,
    Local,
    ObjectTerm,
    Path,
    Step,
    Term,
    Unify,
    locals_of,
    parts,
)


def outputs(step: Step, bound: set[int]) -> set[int]:
    """Give the locals that a step binds if it is evaluated when those in `bound` are."""
    for override in step.overrides:
        if not locals_of(override, closures=False) <= bound:
            return set()
    if isinstance(step, Check):
        return looked_up(step.term, bound) - bound
    if isinstance(step, Invoke):
        return _call_outputs(step, bound) - bound
    if isinstance(step, Unify):
        known = bound | looked_up(step.left, bound) | looked_up(step.right, bound)
        if step.operator == "==":
            return known - bound
        # What stands left of `:=` is bound by it, and never binds what stands right of it.
        basis = known - locals_of(step.left, closures=False) if step.operator == ":=" else known
        return (known | _Unifier(basis).run(step.left, step.right)) - bound
    return set()


def _call_outputs(step: Invoke, bound: set[int]) -> set[int]:
    found: set[int] = set()
    for argument in step.arguments:
        found |= looked_up(argument, bound)
    needed = set().union(*(locals_of(argument, closures=False) for argument in step.arguments))
    if not needed <= bound | found:
        return set()
    return found | (pattern_locals(step.output) if step.output is not None else set())


def looked_up(term: Term, bound: set[int]) -> set[int]:
    """Give the locals that are bound by going through the references of a term."""
    if isinstance(term, Comp):
        return set()
    if isinstance(term, Path):
        if isinstance(term.root, Local) and term.root.number not in bound:
            return set()
        return set().union(*(locals_of(part, closures=False) for part in term.path)) if term.path else set()
    found: set[int] = set()
    for part in parts(term):
        found |= looked_up(part, bound)
    return found


def pattern_locals(term: Term) -> set[int]:
    """Give the locals that matching a value with a term binds: none in keys, sets or references."""
    if isinstance(term, Local):
        return {term.number}
    if isinstance(term, ListTerm):
        return set().union(*map(pattern_locals, term.items)) if term.items else set()
    if isinstance(term, ObjectTerm):
        return set().union(*(pattern_locals(value) for _, value in term.pairs)) if term.pairs else set()
    return set()


class _Unifier:
    """Follows an equation both ways; `x = [y, z]` binds x as soon as y and z are known, and the reverse."""

    def __init__(self, bound: set[int]) -> None:
        self._bound = bound
        self._found: set[int] = set()
        self._pending: dict[int, set[int]] = {}

    def run(self, left: Term, right: Term) -> set[int]:
        self._unify(left, right)
        return self._found

    def _known(self, number: int) -> bool:
        return number in self._bound or number in self._found

    def _mark(self, number: int) -> None:
        self._found.add(number)
        for dependency in self._pending.pop(number, set()):
            self._mark(dependency)
        for dependent, dependencies in list(self._pending.items()):
            if number in dependencies and dependent in self._pending:
                dependencies.discard(number)
                if not dependencies:
                    del self._pending[dependent]
                    self._mark(dependent)

    def _mark_all(self, term: Term) -> None:
        for number in pattern_locals(term):
            self._mark(number)

    def _unify(self, left: Term, right: Term) -> None:
        if isinstance(left, Local) and isinstance(right, Local):
            self._unify_locals(left.number, right.number)
        elif isinstance(left, Local):
            self._unify_local(left.number, right)
        elif isinstance(right, Local):
            self._unify_local(right.number, left)
        elif isinstance(left, ListTerm) and isinstance(right, ListTerm):
            if len(left.items) == len(right.items):
                for ours, theirs in zip(left.items, right.items, strict=True):
                    self._unify(ours, theirs)
        elif isinstance(left, ObjectTerm) and isinstance(right, ObjectTerm):
            self._unify_objects(left, right)
        elif self._has_value(right):
            self._mark_all(left)
        elif self._has_value(left):
            self._mark_all(right)

    def _unify_objects(self, left: ObjectTerm, right: ObjectTerm) -> None:
        if len(left.pairs) != len(right.pairs):
            return
        for key, value in left.pairs:
            for other, theirs in right.pairs:
                if key == other:
                    self._unify(value, theirs)

    def _has_value(self, term: Term) -> bool:
        """Tell whether a term is a reference or comprehension that can be evaluated."""
        if isinstance(term, Path):
            return not isinstance(term.root, Local) or self._known(term.root.number)
        return isinstance(term, Comp)

    def _unify_locals(self, left: int, right: int) -> None:
        if self._known(right):
            self._mark(left)
        elif self._known(left):
            self._mark(right)
        else:
            self._pending.setdefault(left, set()).add(right)
            self._pending.setdefault(right, set()).add(left)

    def _unify_local(self, number: int, term: Term) -> None:
        if isinstance(term, ListTerm | ObjectTerm):
            if self._known(number):
                self._mark_all(term)
                return
            unknown = {other for other in pattern_locals(term) if not self._known(other)}
            if unknown:
                self._pending.setdefault(number, set()).update(unknown)
            else:
                self._mark(number)
        elif not isinstance(term, Path) or self._has_value(term):
            self._mark(number)
