"""Which definitions of a rule can hold at all, told from one part of the input or one argument.

A definition with a test such as `input.path == "/x"`, `input.method in {"GET"}` or a glob with a fixed beginning is
only tried where that part of the input agrees, so 10,000 definitions cost as much as the few that can hold.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

from ztag_extauthz.rego.lower import ir
from ztag_extauthz.rego.lower.fold import fold
from ztag_extauthz.rego.values import UNDEFINED, Key, KeyForm, Value, key

MIN_DEFINITIONS: Final = 6
_GLOB_SIGNS: Final = frozenset("*?[]{}\\!,")

Subject: TypeAlias = tuple[Any, ...]
"""("input", *names) or ("argument", index)."""


@dataclass(frozen=True, slots=True)
class Test:
    """What a definition asks of a subject: to be one of some constants, or to begin with a text."""

    subject: Subject
    forms: frozenset[KeyForm] = frozenset()
    prefix: str = ""
    step: ir.Step | None = None  # which says nothing more once the test has held


@dataclass(slots=True)
class Index:
    """Candidates by the value of a subject, in the order of their definitions: one that errs must not go unnoticed.

    The functions are filled in when the policy is linked.
    """

    exact: dict[KeyForm, list[Any]] = field(default_factory=dict)
    prefixes: dict[str, list[Any]] = field(default_factory=dict)
    others: list[Any] = field(default_factory=list)
    lengths: tuple[int, ...] = ()
    _ranks: dict[Any, int] = field(default_factory=dict)

    def add(self, test: Test | None, function: str) -> None:
        """Add the function of the next definition, by its name."""
        self._ranks.setdefault(function, len(self._ranks))
        if test is None:
            self.others.append(function)
        elif test.prefix:
            self.prefixes.setdefault(test.prefix, []).append(function)
        else:
            for form in test.forms:
                self.exact.setdefault(form, []).append(function)

    def link(self, functions: Callable[[str], Callable[..., Any]]) -> None:
        self._ranks = {functions(name): rank for name, rank in self._ranks.items()}
        self.lengths = tuple(sorted({len(prefix) for prefix in self.prefixes}, reverse=True))
        own = {prefix: [functions(name) for name in names] for prefix, names in self.prefixes.items()}
        texts = (form for form in (*own, *self.exact) if form.__class__ is str)
        begun = {text: self._begun(text, own) for text in texts}
        self.exact = {
            form: self._in_order([*map(functions, names), *begun.get(form, ())]) for form, names in self.exact.items()
        }
        self.prefixes = {prefix: self._in_order(begun[prefix]) for prefix in own}
        self.others = self._in_order(map(functions, self.others))

    def _begun(self, text: str, own: Mapping[str, list[Any]]) -> list[Any]:
        """Give what tests for any beginning of a text."""
        return [function for length in self.lengths for function in own.get(text[:length], ()) if length <= len(text)]

    def _in_order(self, functions: Iterable[Any]) -> list[Any]:
        """Keep each function once: definitions that became the same one give the same value."""
        return sorted(dict.fromkeys(functions), key=self._ranks.__getitem__)

    def find(self, value: Value) -> Sequence[Callable[..., Any]]:
        """Give the definitions that may hold where the subject has a value."""
        if value is UNDEFINED:
            return self.others
        found = self.exact.get(value if value.__class__ is str else key(value))
        if found is None and self.lengths and value.__class__ is str:
            # The longest beginning that is known stands for the shorter ones, too.
            for length in self.lengths:
                found = self.prefixes.get(value[:length])
                if found is not None:
                    break
        if found is None:
            return self.others
        return self._in_order((*found, *self.others)) if self.others else found


def choose(definitions: Sequence[ir.Definition]) -> tuple[Subject | None, list[Test | None]]:
    """Choose the subject that tells most definitions apart; also gives each definition's test of it."""
    none: list[Test | None] = [None] * len(definitions)
    if len(definitions) < MIN_DEFINITIONS:
        return None, none
    tests = [list(find_tests(definition)) if definition.otherwise is None else [] for definition in definitions]
    spread: defaultdict[Subject, Counter[Any]] = defaultdict(Counter)
    for found in tests:
        for test in {test.subject: test for test in found}.values():
            spread[test.subject].update(test.forms or [test.prefix])
    costs = {subject: _cost(counts, subject, tests) for subject, counts in spread.items()}
    if not costs:
        return None, none
    subject = min(costs, key=lambda candidate: costs[candidate])
    if costs[subject] > len(definitions) / 2:
        return None, none
    return subject, [next((test for test in found if test.subject == subject), None) for found in tests]


def _cost(counts: Counter[Any], subject: Subject, tests: Sequence[Sequence[Test]]) -> float:
    """Guess how many definitions are tried where the subject is one of the constants."""
    untested = sum(all(test.subject != subject for test in found) for found in tests)
    return untested + sum(count * count for count in counts.values()) / max(1, sum(counts.values()))


def find_tests(definition: ir.Definition) -> Iterator[Test]:
    """Give what a definition asks of subjects.

    OPA's index knows the tests for scalars wherever they stand. The others come too late behind a step that may err:
    OPA would evaluate that one, and find the error.
    """
    subjects: dict[int, Subject] = {}
    for index, argument in enumerate(definition.arguments or ()):
        constant = fold(argument)
        if constant is not None:
            yield Test(("argument", index), frozenset([key(constant.value)]))
        elif isinstance(argument, ir.Local):
            subjects.setdefault(argument.number, ("argument", index))
    harmless = True
    for step in definition.body:
        if not step.overrides:
            tests = _tests(step, subjects)
            yield from (test for test in tests if harmless or _is_scalar(test))
        harmless = harmless and not may_err(step)


def _tests(step: ir.Step, subjects: dict[int, Subject]) -> list[Test]:
    if isinstance(step, ir.Unify):
        return list(_equation(step, subjects))
    if isinstance(step, ir.Invoke) and step.function.builtin and step.output is None:
        return list(_call(step, subjects))
    return []


def _is_scalar(test: Test) -> bool:
    return len(test.forms) == 1 and not any(form.__class__ is Key for form in test.forms)


def may_err(step: ir.Step) -> bool:
    """Tell whether a step may end in an error: a conflict in a rule, or a built-in's if errors are strict."""
    return any(
        isinstance(node, ir.Invoke | ir.Comp | ir.ForAll) or (isinstance(node, ir.Path) and node.root == "data")
        for node in ir.walk(step)
    )


def _equation(step: ir.Unify, subjects: dict[int, Subject]) -> Iterator[Test]:
    for one, other in ((step.left, step.right), (step.right, step.left)):
        subject, constant = _subject(other, subjects), fold(one)
        if isinstance(one, ir.Local) and isinstance(other, ir.Path) and subject is not None:
            subjects.setdefault(one.number, subject)
        elif constant is not None and subject is not None:
            yield Test(subject, frozenset([key(constant.value)]), step=step)


def _subject(term: ir.Term, subjects: dict[int, Subject]) -> Subject | None:
    if isinstance(term, ir.Local):
        return subjects.get(term.number)
    if not isinstance(term, ir.Path) or term.root != "input":
        return None
    names = tuple(part.value for part in term.path if isinstance(part, ir.Const) and part.value.__class__ is str)
    return ("input", *names) if len(names) == len(term.path) else None


def _call(step: ir.Invoke, subjects: dict[int, Subject]) -> Iterator[Test]:
    name, arguments = step.function.path[0], step.arguments
    if name == "equal":
        for one, other in (arguments, arguments[::-1]):
            subject, constant = _subject(other, subjects), fold(one)
            if subject is not None and constant is not None:
                yield Test(subject, frozenset([key(constant.value)]), step=step)
    elif name == "internal.member_2":
        subject, constant = _subject(arguments[0], subjects), fold(arguments[1])
        if subject is not None and constant is not None and constant.value.__class__ in (list, frozenset):
            values = constant.value
            forms = values if values.__class__ is frozenset else frozenset(map(key, values))
            yield Test(subject, forms, step=step)
    elif name in ("glob.match", "startswith"):
        yield from _beginning(name, arguments, subjects)


def _beginning(name: str, arguments: tuple[ir.Term, ...], subjects: dict[int, Subject]) -> Iterator[Test]:
    pattern, text = (arguments[0], arguments[2]) if name == "glob.match" else (arguments[1], arguments[0])
    subject, constant = _subject(text, subjects), fold(pattern)
    if subject is None or constant is None or constant.value.__class__ is not str:
        return
    prefix = constant.value
    if name == "glob.match":
        prefix = prefix[: next((index for index, sign in enumerate(prefix) if sign in _GLOB_SIGNS), len(prefix))]
    if prefix:
        yield Test(subject, prefix=prefix)


def without(definition: ir.Definition, test: Test) -> ir.Definition:
    """Leave out of a definition what its test has decided."""
    if test.subject[0] == "argument" and test.step is None and test.forms:
        arguments = list(definition.arguments or ())
        arguments[test.subject[1]] = ir.Local(len(definition.names))
        return replace(definition, arguments=tuple(arguments), names=(*definition.names, ""))
    if test.step is None:
        return definition
    return replace(
        definition, body=_unneeded(tuple(step for step in definition.body if step is not test.step), test, definition)
    )


def _unneeded(body: tuple[ir.Step, ...], test: Test, definition: ir.Definition) -> tuple[ir.Step, ...]:
    """Leave out too what had looked the subject up, if nothing else uses it."""
    heads = [*definition.keys, *(term for term in (definition.member, definition.value) if term is not None)]
    uses = Counter(part.number for node in (*body, *heads) for part in ir.walk(node) if isinstance(part, ir.Local))

    def idle(step: ir.Step) -> bool:
        return (
            isinstance(step, ir.Unify)
            and not step.overrides
            and isinstance(step.left, ir.Local)
            and uses[step.left.number] == 1
            and _subject(step.right, {}) == test.subject
        )

    return tuple(step for step in body if not idle(step))
