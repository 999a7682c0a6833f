"""Definitions to functions, and the definitions of a rule to one function that gives its value once."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from ztag_extauthz.rego.analysis.tree import Group
from ztag_extauthz.rego.compile.emit import Writer
from ztag_extauthz.rego.compile.index import Index, Subject, Test, may_err, without
from ztag_extauthz.rego.compile.steps import StepCompiler
from ztag_extauthz.rego.compile.unroll import unrolled
from ztag_extauthz.rego.lower.fold import fold
from ztag_extauthz.rego.lower.ir import Const, Definition, Local, Path, Term, walk

if TYPE_CHECKING:
    from ztag_extauthz.rego.compile.policy import PolicyCompiler


class RuleCompiler:
    def __init__(self, policy: "PolicyCompiler", group: Group, *, by_key: bool = False) -> None:
        self.policy = policy
        if policy.places is None:
            rows = [row for definition in group.definitions for row in unrolled(policy, definition)]
            group = replace(group, definitions=rows)
        self.by_key = by_key  # the group is a set or an object, as a function of its key
        self.group = group
        self.arguments = [f"a{index}" for index in range(group.arity)] if group.kind == "function" else []

    def compile(self, name: str) -> None:
        self.policy.unit.notes[name] = f"{self.group.name} ({self.group.kind})"
        if self.group.kind in ("complete", "function"):
            self._single(name)
        else:
            self._collection(name)

    # -- rules with one value, and functions

    def _single(self, name: str) -> None:
        group = self.group
        writer = Writer(self.policy.unit, name, ["s", *self.arguments], "")
        if group.kind == "complete":
            self._recall(writer)
        else:
            # Functions are not remembered: those that call one another twice double the work each time.
            writer.line("s.charge(0)")
        subject, tests = self.policy.choose(group.definitions)
        definitions = [
            without(definition, test) if test is not None else definition
            for definition, test in zip(group.definitions, tests, strict=True)
        ]
        bodies = [self._chain(definition) for definition in definitions]
        if subject is None:
            self._try_all(writer, bodies)
        else:
            self._try_found(writer, subject, tests, bodies)
        if group.default is not None:
            self._default(writer)
        if group.kind == "complete":
            writer.line(f"s.memo[{self._number()}] = v")
        writer.finish("return v", shared=False)

    def _try_all(self, writer: Writer, bodies: Sequence[str]) -> None:
        call = ", ".join(["s", *self.arguments])
        if not bodies:
            writer.line("v = U")
        same = self._same_constant
        for index, body in enumerate(bodies):
            if index == 0:
                writer.line(f"v = {body}({call})")
            elif same:
                writer.line(f"if v is U: v = {body}({call})")
            else:
                writer.line(f"w = {body}({call})")
                self._compare(writer, self.group.definitions[index].place)

    def _try_found(self, writer: Writer, subject: Subject, tests: Sequence[Test | None], bodies: Sequence[str]) -> None:
        """Try only the definitions that the index finds."""
        found = self._find(writer, subject, tests, bodies)
        call = ", ".join(["s", *self.arguments])
        writer.line("v = U")
        with writer.block(f"for body in {found}:"):
            if self._same_constant:
                writer.line(f"v = body({call})")
                writer.line("if v is not U: break")
            else:
                writer.line(f"w = body({call})")
                self._compare(writer, self.group.name)

    def _find(self, writer: Writer, subject: Subject, tests: Sequence[Test | None], functions: Sequence[str]) -> str:
        """Write the look-up in an index, and give the expression for what it finds."""
        index = Index()
        for test, function in zip(tests, functions, strict=True):
            index.add(test, function)
        if subject[0] == "argument":
            value = self.arguments[subject[1]]
        else:
            path = Path("input", tuple(map(Const, subject[1:])))
            value, _ = StepCompiler(self.policy, writer).maybe(path)
        return f"{self.policy.unit.index(index)}.find({value})"

    def _recall(self, writer: Writer) -> None:
        writer.line(f"v = s.memo.get({self._number()}, P)")
        writer.line("if v is not P: return v")

    def _number(self) -> str:
        """Give the name for the rule's number, which is no part of the shape of its functions."""
        name = f"n{self.group.number}"
        self.policy.unit.table[name] = self.group.number
        return name

    def _compare(self, writer: Writer, where: str) -> None:
        with writer.block("if w is not U:"):
            writer.line("if v is U: v = w")
            place = self.policy.unit.constant(where)
            function = self.group.kind == "function"
            writer.line(f"elif not equal(v, w): raise conflict({place}, function={function})")

    @cached_property
    def _same_constant(self) -> bool:
        """Tell whether all definitions give one and the same constant, so that the first that holds settles it."""
        values = set()
        for definition in self.group.definitions:
            constant = fold(definition.value) if definition.value is not None else None
            if constant is None or definition.otherwise is not None:
                return False
            values.add(self.policy.unit.constant(constant.value))
        return len(values) == 1

    def _goes_on(self, definition: Definition) -> bool:
        """Tell whether OPA goes through all solutions of a body for a constant, and may find an error on the way."""
        return not self._same_constant and any(map(may_err, definition.body))

    def _default(self, writer: Writer) -> None:
        default = self.group.default
        if default is None or default.value is None:
            return
        self.policy.enter(default)
        constant = fold(default.value)
        if constant is not None:
            writer.line(f"if v is U: v = {self.policy.unit.constant(constant.value)}")
        else:
            body = self._body(default)
            given = ", ".join(["s", *self.arguments])
            writer.line(f"if v is U: v = {body}({given})")

    def _chain(self, definition: Definition) -> str:
        """Write a definition with its `else`s; give the name of the function."""
        if definition.otherwise is None:
            return self._body(definition)
        links = []
        link: Definition | None = definition
        while link is not None:
            links.append(self._body(link))
            link = link.otherwise
        writer = Writer(self.policy.unit, self.policy.unit.fresh("chain_"), ["s", *self.arguments], "")
        call = ", ".join(["s", *self.arguments])
        for body in links[:-1]:
            writer.line(f"v = {body}({call})")
            writer.line("if v is not U: return v")
        writer.finish(f"return {links[-1]}({call})")
        return writer.name

    def _body(self, definition: Definition) -> str:
        """Write one body as a function that gives the head's value."""
        self.policy.enter(definition)
        unit = self.policy.unit
        writer = Writer(unit, unit.fresh("body_"), ["s", *self.arguments], "return U")
        unit.notes[writer.name] = f"{self.group.name} {definition.place}"
        compiler = StepCompiler(self.policy, writer)
        compiler.indexed = self.by_key or not self._same_constant
        traced = self._enter(writer, definition)
        for pattern, name in zip(definition.arguments or (), self.arguments, strict=True):
            compiler.match(pattern, name)
        compiler.steps(definition.body)
        if definition.value is None:
            raise AssertionError(definition)
        value = compiler.value(definition.value)
        if traced:
            writer.line(f"s.trace.gave({traced}, {value})")
        if writer.blocks == 0 or (fold(definition.value) is not None and not self._goes_on(definition)):
            writer.line(f"return {value}")
            writer.finish("return U" if writer.blocks else "")
            return writer.name
        writer.first("r = U")
        place = unit.constant(definition.place)
        function = self.group.kind == "function"
        writer.line(f"if r is U: r = {value}")
        writer.line(f"elif not equal(r, {value}): raise conflict({place}, function={function})")
        writer.finish("return r")
        return writer.name

    def _enter(self, writer: Writer, definition: Definition) -> str:
        """In a traced policy, write that a definition is tried; give its number."""
        if self.policy.places is None:
            return ""
        number = self.policy.places.add(definition.file, definition.position, self.group.name)
        writer.line(f"s.trace.entered({number})")
        writer.trace(number)
        return str(number)

    # -- sets and objects

    def _collection(self, name: str) -> None:
        group = self.group
        writer = Writer(self.policy.unit, name, ["s"], "")
        self._recall(writer)
        nested = any(len(definition.keys) > 1 or definition.member is not None for definition in group.definitions)
        branch = group.kind == "object" and nested
        place = self.policy.unit.constant(group.name)
        writer.line("out = set()" if group.kind == "set" else f"out = Branch({place})" if branch else "out = {}")
        subject, tests = self.policy.choose(group.definitions)
        adders = [self._adder(definition, branch=branch) for definition in group.definitions]
        if subject is None:
            for adder in adders:
                writer.line(f"{adder}(s, out)")
        else:
            with writer.block(f"for add in {self._find(writer, subject, tests, adders)}:"):
                writer.line("add(s, out)")
        writer.line("v = frozenset(out)" if group.kind == "set" else "v = out.value()" if branch else "v = out")
        writer.line(f"s.memo[{self._number()}] = v")
        writer.finish("return v", shared=False)

    def fill(self) -> str:
        """Write a function that adds what all definitions give to an object in the making."""
        writer = Writer(self.policy.unit, self.policy.unit.fresh("fill_"), ["s", "out"], "")
        for definition in self.group.definitions:
            writer.line(f"{self._adder(definition, branch=True)}(s, out)")
        writer.finish("")
        return writer.name

    def _adder(self, definition: Definition, *, branch: bool) -> str:
        """Write one body as a function that adds what it gives to the collection."""
        self.policy.enter(definition)
        unit = self.policy.unit
        writer = Writer(unit, unit.fresh("add_"), ["s", "out"], "return")
        unit.notes[writer.name] = f"{self.group.name} {definition.place}"
        compiler = StepCompiler(self.policy, writer)
        compiler.indexed = True
        traced = self._enter(writer, definition)
        compiler.steps(definition.body)
        place = unit.constant(definition.place)
        if self.group.kind == "set" and definition.member is not None:
            writer.line(f"out.add({compiler.form(definition.member)})")
        elif branch:
            keys = ", ".join(map(compiler.value, definition.keys))
            method, term = ("put", definition.value) if definition.member is None else ("add", definition.member)
            writer.line(f"out.{method}(({keys},), {compiler.value(_given(term))}, {place})")
        else:
            wanted = compiler.value(definition.keys[0])
            writer.line(f"put(out, {wanted}, {compiler.value(_given(definition.value))}, {place})")
        if traced:
            shown = definition.member if definition.member is not None else _given(definition.value)
            writer.line(f"s.trace.gave({traced}, {compiler.value(shown)})")
        writer.finish("")
        return writer.name


def _given(term: Term | None) -> Term:
    if term is None:
        raise AssertionError
    return term


def occurrences(definition: Definition) -> Counter[int]:
    """Count how often each local stands in a definition."""
    counts: Counter[int] = Counter()
    heads = (*definition.keys, *(definition.arguments or ()), definition.member, definition.value)
    nodes: Sequence[object] = [*definition.body, *(head for head in heads if head is not None)]
    for node in nodes:
        counts.update(part.number for part in walk(node) if isinstance(part, Local))
    return counts
