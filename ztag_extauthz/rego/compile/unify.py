"""Unification: comparing, binding, taking values apart, and going through references with open parts."""

from collections.abc import Sequence

from ztag_extauthz.rego.compile.paths import PathCompiler
from ztag_extauthz.rego.lower.fold import fold
from ztag_extauthz.rego.lower.ir import Comp, ListTerm, Local, ObjectTerm, Path, SetTerm, Term
from ztag_extauthz.rego.values import equal


class UnifyCompiler(PathCompiler):
    def unify(self, left: Term, right: Term) -> None:
        """Write a unification. Parts that bind nothing yet are put off until others have."""
        pending = [(left, right)]
        while pending:
            put_off = [pair for pair in pending if not self._unify(*pair)]
            if len(put_off) == len(pending):
                self._unify_lists(*put_off.pop(0), put_off)
            pending = put_off

    def _unify_lists(self, left: Term, right: Term, pending: list[tuple[Term, Term]]) -> None:
        """Unify two patterns part by part."""
        if isinstance(left, ListTerm) and isinstance(right, ListTerm) and len(left.items) == len(right.items):
            pending.extend(zip(left.items, right.items, strict=True))
        elif isinstance(left, ObjectTerm) and isinstance(right, ObjectTerm) and self._same_keys(left, right):
            theirs = {self._key_value(wanted): value for wanted, value in right.pairs}
            pending.extend((value, theirs[self._key_value(wanted)]) for wanted, value in left.pairs)
        else:
            self.w.line(self.w.fail)

    def _same_keys(self, left: ObjectTerm, right: ObjectTerm) -> bool:
        ours = {self._key_value(wanted) for wanted, _ in left.pairs}
        return ours == {self._key_value(wanted) for wanted, _ in right.pairs} and len(ours) == len(left.pairs)

    def _key_value(self, wanted: Term) -> str:
        constant = fold(wanted)
        return self.unit.form(constant.value) if constant else repr(wanted)

    def _unify(self, left: Term, right: Term) -> bool:
        """Unify if one side is known; tell whether that could be done."""
        if self._knows(left) and self._knows(right):
            self.compare(left, right)
            return True
        if self._knows(left) and not (isinstance(left, Path) and isinstance(right, ListTerm | ObjectTerm | Local)):
            left, right = right, left
        if self._knows(right):
            if isinstance(left, Path):
                self.iterate(left, right)
            else:
                self.match(left, self.value(right))
            return True
        if isinstance(right, Path) and self._can_start(right):
            self.iterate(right, left)
            return True
        if isinstance(left, Path) and self._can_start(left):
            self.iterate(left, right)
            return True
        return False

    def _knows(self, term: Term) -> bool:
        return self.is_known(term)

    def _can_start(self, path: Path) -> bool:
        return not isinstance(path.root, Local) or self.w.is_bound(path.root)

    def compare(self, left: Term, right: Term) -> None:
        self.w.require(self.equality(self.value(left), self.value(right), left, right))

    def equality(self, left: str, right: str, *terms: Term) -> str:
        """Give the condition that two values are one; a string or null equals as Python's does."""
        constants = [constant.value for constant in map(fold, terms) if constant]
        if len(constants) == 2:
            return str(equal(*constants))
        if any(value is None or value is True or value is False for value in constants):
            return f"{left} is {right}"
        if any(value.__class__ is str or value.__class__ is frozenset for value in constants):
            return f"{left} == {right}"
        return f"equal({left}, {right})"

    def match(self, pattern: Term, name: str) -> None:
        """Match a value with a pattern, and bind what is open in it."""
        if isinstance(pattern, Local) and not self.w.is_bound(pattern):
            self.w.bind(pattern, name)
        elif isinstance(pattern, ListTerm) and not self.is_known(pattern):
            self.w.require(f"{name}.__class__ is list and len({name}) == {len(pattern.items)}")
            for index, item in enumerate(pattern.items):
                self._match_part(item, f"{name}[{index}]")
        elif isinstance(pattern, ObjectTerm) and not self.is_known(pattern):
            self.w.require(f"{name}.__class__ is dict and len({name}) == {len(pattern.pairs)}")
            for wanted, item in pattern.pairs:
                self._match_member(wanted, item, name)
        elif isinstance(pattern, Path) and not self.is_known(pattern):
            self._iterate_against(pattern, name)
        else:
            self.w.require(self.equality(self.value(pattern), name, pattern))

    def _match_part(self, item: Term, expression: str) -> None:
        self.match(item, self._named(expression))

    def _match_member(self, wanted: Term, item: Term, name: str) -> None:
        member = self._named(f"{name}.get({self.form(wanted)}, U)")
        self.w.line(f"if {member} is U: {self.w.fail}")
        self.match(item, member)

    def _iterate_against(self, path: Path, name: str) -> None:
        found = self.walk(path)
        self.w.require(f"equal({found}, {name})")

    # -- references with open parts

    def iterate(self, path: Path, other: Term) -> None:
        """Go through all values of a reference, and unify each with a term."""
        wanted = self.value(other) if self._knows(other) and not isinstance(other, Path | Comp) else None
        found = self.walk(path)
        if wanted is not None:
            self.w.require(self.equality(found, wanted, other))
        else:
            self.match_later(other, found)

    def match_later(self, other: Term, found: str) -> None:
        if isinstance(other, SetTerm) or self._knows(other):
            self.w.require(self.equality(found, self.value(other), other))
        else:
            self.match(other, found)

    def walk(self, path: Path) -> str:
        """Write loops over the open parts of a reference; give the name of the value at its end."""
        value, certain, rest = self.start(path)
        manner = self.manner(path)
        if not certain and not rest:
            self.w.line(f"if {value} is U: {self.w.fail}")
        rest = list(rest)
        while rest:
            known = self._known_prefix(rest)
            if known:
                value = self._follow(value, rest[:known], manner)
                self.w.line(f"if {value} is U: {self.w.fail}")
                rest = rest[known:]
            else:
                value = self._open(value, rest.pop(0))
        return value

    def _known_prefix(self, parts: Sequence[Term]) -> int:
        for index, part in enumerate(parts):
            if not self.is_known(part):
                return index
        return len(parts)

    def _open(self, value: str, part: Term) -> str:
        """Write a loop over a collection that binds an open part of a reference."""
        self.hoist()
        self.w.make_room()
        order = "ordered_" if self.ordered else ""
        found = self.w.fresh()
        if isinstance(part, Local) and self.policy.is_unused(part):
            self.w.loop(found, f"{order}elements({self.w.state}, {value})")
            self.w.bind(part, found)
            return found
        wanted = self.w.fresh()
        self.w.loop(f"{wanted}, {found}", f"{order}items({self.w.state}, {value})")
        self.match(part, wanted)
        return found
