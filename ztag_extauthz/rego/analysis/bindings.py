"""Which locals a step binds, once some are bound already."""

from ztag_extauthz.rego.lower import ir


def outputs(step: ir.Step, bound: set[int]) -> set[int]:
    """Give the locals that a step binds if it is evaluated when those in `bound` are."""
    for override in step.overrides:
        if not ir.locals_of(override, closures=False) <= bound:
            return set()
    if isinstance(step, ir.Check):
        return looked_up(step.term, bound) - bound
    if isinstance(step, ir.Invoke):
        return _call_outputs(step, bound) - bound
    if isinstance(step, ir.Unify):
        known = bound | looked_up(step.left, bound) | looked_up(step.right, bound)
        if step.operator == "==":
            return known - bound
        # What stands left of `:=` is bound by it, and never binds what stands right of it.
        basis = known - ir.locals_of(step.left, closures=False) if step.operator == ":=" else known
        return (known | _Unifier(basis).run(step.left, step.right)) - bound
    return set()


def _call_outputs(step: ir.Invoke, bound: set[int]) -> set[int]:
    found: set[int] = set()
    for argument in step.arguments:
        found |= looked_up(argument, bound)
    needed = set().union(*(ir.locals_of(argument, closures=False) for argument in step.arguments))
    if not needed <= bound | found:
        return set()
    return found | (pattern_locals(step.output) if step.output is not None else set())


def looked_up(term: ir.Term, bound: set[int]) -> set[int]:
    """Give the locals that are bound by going through the references of a term."""
    if isinstance(term, ir.Comp):
        return set()
    if isinstance(term, ir.Path):
        if isinstance(term.root, ir.Local) and term.root.number not in bound:
            return set()
        return set().union(*(ir.locals_of(part, closures=False) for part in term.path)) if term.path else set()
    found: set[int] = set()
    for part in ir.parts(term):
        found |= looked_up(part, bound)
    return found


def pattern_locals(term: ir.Term) -> set[int]:
    """Give the locals that matching a value with a term binds: none in keys, sets or references."""
    if isinstance(term, ir.Local):
        return {term.number}
    if isinstance(term, ir.ListTerm):
        return set().union(*map(pattern_locals, term.items)) if term.items else set()
    if isinstance(term, ir.ObjectTerm):
        return set().union(*(pattern_locals(value) for _, value in term.pairs)) if term.pairs else set()
    return set()


class _Unifier:
    """Follows an equation both ways; `x = [y, z]` binds x as soon as y and z are known, and the reverse."""

    def __init__(self, bound: set[int]) -> None:
        self._bound = bound
        self._found: set[int] = set()
        self._pending: dict[int, set[int]] = {}

    def run(self, left: ir.Term, right: ir.Term) -> set[int]:
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

    def _mark_all(self, term: ir.Term) -> None:
        for number in pattern_locals(term):
            self._mark(number)

    def _unify(self, left: ir.Term, right: ir.Term) -> None:
        if isinstance(left, ir.Local) and isinstance(right, ir.Local):
            self._unify_locals(left.number, right.number)
        elif isinstance(left, ir.Local):
            self._unify_local(left.number, right)
        elif isinstance(right, ir.Local):
            self._unify_local(right.number, left)
        elif isinstance(left, ir.ListTerm) and isinstance(right, ir.ListTerm):
            if len(left.items) == len(right.items):
                for ours, theirs in zip(left.items, right.items, strict=True):
                    self._unify(ours, theirs)
        elif isinstance(left, ir.ObjectTerm) and isinstance(right, ir.ObjectTerm):
            self._unify_objects(left, right)
        elif self._has_value(right):
            self._mark_all(left)
        elif self._has_value(left):
            self._mark_all(right)

    def _unify_objects(self, left: ir.ObjectTerm, right: ir.ObjectTerm) -> None:
        if len(left.pairs) != len(right.pairs):
            return
        for key, value in left.pairs:
            for other, theirs in right.pairs:
                if key == other:
                    self._unify(value, theirs)

    def _has_value(self, term: ir.Term) -> bool:
        """Tell whether a term is a reference or comprehension that can be evaluated."""
        if isinstance(term, ir.Path):
            return not isinstance(term.root, ir.Local) or self._known(term.root.number)
        return isinstance(term, ir.Comp)

    def _unify_locals(self, left: int, right: int) -> None:
        if self._known(right):
            self._mark(left)
        elif self._known(left):
            self._mark(right)
        else:
            self._pending.setdefault(left, set()).add(right)
            self._pending.setdefault(right, set()).add(left)

    def _unify_local(self, number: int, term: ir.Term) -> None:
        if isinstance(term, ir.ListTerm | ir.ObjectTerm):
            if self._known(number):
                self._mark_all(term)
                return
            unknown = {other for other in pattern_locals(term) if not self._known(other)}
            if unknown:
                self._pending.setdefault(number, set()).update(unknown)
            else:
                self._mark(number)
        elif not isinstance(term, ir.Path) or self._has_value(term):
            self._mark(number)
