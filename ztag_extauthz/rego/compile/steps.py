"""Steps: each is written so that the next one stands after it, in its loops; giving up leaves or goes on."""

from collections.abc import Iterator
from contextlib import contextmanager

from ztag_extauthz.rego.compile.calls import CallCompiler
from ztag_extauthz.rego.lower import ir
from ztag_extauthz.rego.lower.names import find_builtin


class StepCompiler(CallCompiler):
    indexed = False  # whether OPA looks into base documents beforehand for the lone references of this body

    def steps(self, steps: ir.Steps) -> None:
        remaining = self.policy.remaining()
        for index, step in enumerate(steps):
            self.w.begin(remaining)
            self._to_come = steps[index:]
            self.step(step)
            for number in (part.number for part in ir.walk(step) if isinstance(part, ir.Local)):
                remaining[number] -= 1
                if not remaining[number]:
                    del remaining[number]

    def hoist(self) -> None:
        """Before the first loop, look up what the steps in it want from the input."""
        if self.w.blocks or self.w.state != "s":
            return
        for path in (path for step in self._to_come for path in input_paths(step)):
            self._known_input(path)

    def step(self, step: ir.Step) -> None:
        outer = self.w.state
        self.policy.note(self.w, step)
        if step.overrides:
            self.w.state = self._override(step.overrides)
        match step:
            case ir.Unify():
                self.unify(step.left, step.right)
            case ir.Invoke():
                self._invoke(step)
            case ir.Check():
                self._check(step)
            case ir.Negation():
                self._negation(step)
            case ir.ForAll():
                self._every(step)
        self.w.state = outer

    def _check(self, step: ir.Check) -> None:
        term = step.term
        if isinstance(term, ir.Const):
            if term.value is False:
                self.w.line(self.w.fail)
        elif isinstance(term, ir.Path) and not self.is_known(term):
            self.w.refuse(f"{self.walk(term)} is False")
        else:
            with self._surely(term):
                name, certain = self.maybe(term)
            self.w.refuse(f"{name} is False" if certain else f"{name} is U or {name} is False")

    @contextmanager
    def _surely(self, term: ir.Term) -> Iterator[None]:
        """Look up with care what OPA's index of rules may look up before: `data.users[input.user]` alone."""
        self.sure = self.indexed and isinstance(term, ir.Path) and not isinstance([None, *term.path][-1], ir.Const)
        yield
        self.sure = False

    def _invoke(self, step: ir.Invoke) -> None:
        if step.function.builtin and find_builtin(step.function.path[0]).relation:
            self._relation(step)
            return
        name, certain = self.result(step)
        if step.output is None:
            self.w.refuse(f"{name} is False" if certain else f"{name} is U or {name} is False")
            return
        if not certain:
            self.w.refuse(f"{name} is U")
        self.match(step.output, name)

    def _relation(self, step: ir.Invoke) -> None:
        """Write a loop over the results of a built-in that has several."""
        arguments = [self.value(argument) for argument in step.arguments]
        self.hoist()
        self.w.make_room()
        found = self.w.fresh()
        self.w.loop(found, f"elements({self.w.state}, list({self._call(step, arguments)}))")
        if step.output is None:
            self.w.refuse(f"{found} is False")
        else:
            self.match(step.output, found)

    # -- negation: the step binds nothing, so it has one value or none

    def _negation(self, step: ir.Negation) -> None:
        inner = step.step
        with self.w.silent():
            condition = self._holds(inner)
        self.w.refuse(condition)

    def _holds(self, inner: ir.Step) -> str:
        """Give the condition that a step holds."""
        if isinstance(inner, ir.Unify):
            return self._holds_equal(inner)
        if isinstance(inner, ir.Invoke):
            return self._holds_call(inner)
        if isinstance(inner, ir.Check):
            name, certain = self.maybe(inner.term)
            return f"{name} is not False" if certain else f"{name} is not U and {name} is not False"
        raise AssertionError(inner)

    def _holds_equal(self, inner: ir.Unify) -> str:
        conditions, names = [], []
        for term in (inner.left, inner.right):
            name, certain = self.maybe(term)
            names.append(name)
            if not certain:
                conditions.append(f"{name} is not U")
        return " and ".join([*conditions, self.equality(names[0], names[1], inner.left, inner.right)])

    def _holds_call(self, inner: ir.Invoke) -> str:
        if inner.function.builtin and find_builtin(inner.function.path[0]).relation:
            arguments = [self.value(argument) for argument in inner.arguments]
            found = f"list({self._call(inner, arguments)})"
            if inner.output is None:
                return f"any(found is not False for found in {found})"
            wanted = self.value(inner.output)
            return f"any(equal(found, {wanted}) for found in {found})"
        name, certain = self.result(inner)
        defined = "" if certain else f"{name} is not U and "
        if inner.output is None:
            return f"{defined}{name} is not False"
        return f"{defined}equal({name}, {self.value(inner.output)})"

    # -- every

    def _every(self, step: ir.ForAll) -> None:
        domain = self.value(step.domain)
        own = [local for local in (step.key, step.value) if local is not None]
        closure = set().union(*map(ir.locals_of, step.body)) - {local.number for local in own}
        given = self.captured(closure)
        function = self.policy.body_test(step.body, [*(local.number for local in own), *(n for n, _ in given)])
        self.w.require(f"is_collection({domain})")
        arguments = ", ".join([self.w.state, *[f"e{index}" for index in range(len(own))], *(name for _, name in given)])
        pairs = "items" if len(own) == 2 else "elements"
        targets = "e0, e1" if len(own) == 2 else "e0"
        self.w.require(f"all({function}({arguments}) for {targets} in {pairs}({self.w.state}, {domain}))")

    # -- with

    def _override(self, overrides: ir.Overrides) -> str:
        name = self.w.fresh()
        calls = "".join(self._clause(override) for override in overrides)
        self.w.line(f"{name} = {self.w.state}.child(){calls}")
        return name

    def _clause(self, override: ir.Override) -> str:
        target, value = override.target, override.value
        if isinstance(target, ir.Function):
            return f".with_function({self.unit.constant(str(target))}, {self._replacement(value)})"
        path = self.unit.name("w", tuple(part.value for part in target.path if isinstance(part, ir.Const)))
        if isinstance(value, ir.Function):
            value = ir.Const(None)
        kind = "input" if target.root == "input" else "data"
        return f".with_{kind}({path}, {self.value(value)})"

    def _replacement(self, value: object) -> str:
        if not isinstance(value, ir.Function):
            return f"constantly({self.value(value)})"  # type: ignore[arg-type]
        if not value.builtin:
            return self.policy.function(value.path)
        builtin = find_builtin(value.path[0])
        return (
            f"builtin_mock({self.policy.builtin(builtin.name)}, {builtin.context}, {self.unit.constant(builtin.name)})"
        )


def input_paths(node: object) -> Iterator[ir.Path]:
    """Give the references into the input that are made directly, under no `with` and in no inner body."""
    if isinstance(node, ir.Comp) or getattr(node, "overrides", None):
        return
    if isinstance(node, ir.Path) and node.root == "input":
        yield node
    for part in (node.domain,) if isinstance(node, ir.ForAll) else ir.parts(node):
        yield from input_paths(part)
