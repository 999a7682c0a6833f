"""Calls: of rules that are functions, and of built-ins, the commonest of them written out."""

from collections.abc import Callable, Sequence

from ztag_extauthz.rego.builtins.interface import NOT_CONSTANT
from ztag_extauthz.rego.compile.unify import UnifyCompiler
from ztag_extauthz.rego.lower.fold import fold
from ztag_extauthz.rego.lower.ir import Invoke
from ztag_extauthz.rego.lower.names import find_builtin

_COMPARISONS = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_INTEGER_OPERATORS = {"plus": "+", "minus": "-", "mul": "*"}


class CallCompiler(UnifyCompiler):
    def result(self, step: Invoke) -> tuple[str, bool]:
        """Write a call; give its value, and whether it is certainly defined."""
        arguments = [self.value(argument) for argument in step.arguments]
        if self.policy.is_mocked(step.function):
            return self._mocked(step, arguments), False
        return self._plain(step, arguments)

    def _plain(self, step: Invoke, arguments: list[str]) -> tuple[str, bool]:
        if not step.function.builtin:
            function = self.policy.function(step.function.path)
            return self._named(f"{function}({', '.join([self.w.state, *arguments])})"), False
        written = _WRITTEN.get(step.function.path[0])
        if written is not None:
            return written(self, step, arguments)
        return self._builtin(step, arguments)

    def _mocked(self, step: Invoke, arguments: list[str]) -> str:
        """Look first whether a `with` has replaced the function."""
        name = self.w.fresh()
        target = self.unit.constant(str(step.function))
        with self.w.block(f"if {target} in {self.w.state}.mocks:"):
            given = ", ".join([f"{self.w.state}.unmocked()", *arguments])
            self.w.line(f"{name} = {self.w.state}.mocks[{target}]({given})")
        with self.w.block("else:"):
            value, _ = self._plain(step, arguments)
            self.w.line(f"{name} = {value}")
        return name

    def _builtin(self, step: Invoke, arguments: Sequence[str]) -> tuple[str, bool]:
        name = self.w.fresh()
        self._guarded(step, name, self._call(step, arguments))
        return name, False

    def _guarded(self, step: Invoke, name: str, expression: str) -> None:
        """Write a call that may raise: then it is undefined, or an error if errors are strict."""
        self.w.line(f"try: {name} = {expression}")
        with self.w.block("except FAILURES as error:"):
            builtin = self.unit.constant(step.function.path[0])
            place = self.unit.constant(self.policy.place(step.position))
            self.w.line(f"{self.w.state}.failed(error, {builtin}, {place})")
            self.w.line(f"{name} = U")

    def _call(self, step: Invoke, arguments: Sequence[str]) -> str:
        builtin = find_builtin(step.function.path[0])
        function, given = self._specialised(step, arguments)
        context = [f"{self.w.state}.context"] if builtin.context else []
        return f"{function}({', '.join([*context, *given])})"

    def _specialised(self, step: Invoke, arguments: Sequence[str]) -> tuple[str, Sequence[str]]:
        """Let a built-in offer a function of its own for the constants of this call."""
        builtin = find_builtin(step.function.path[0])
        constants = [fold(argument) for argument in step.arguments]
        if builtin.specialise is not None and any(constants):
            values = [constant.value if constant else NOT_CONSTANT for constant in constants]
            special = builtin.specialise(values)
            if special is not None:
                rest = [name for name, constant in zip(arguments, constants, strict=True) if not constant]
                return self.unit.name("b", special), rest
        return self.policy.builtin(builtin.name), arguments

    def _compare(self, step: Invoke, arguments: Sequence[str]) -> tuple[str, bool]:
        left, right = arguments
        operator = _COMPARISONS[step.function.path[0]]
        name = self.w.fresh()
        integers = self._integers(step, arguments)
        if integers:
            self.w.line(f"if {integers}: {name} = {left} {operator} {right}")
            self.w.line(f"else: {name} = compare({left}, {right}) {operator} 0")
        else:
            self.w.line(f"{name} = compare({left}, {right}) {operator} 0")
        return name, True

    def _integers(self, step: Invoke, arguments: Sequence[str]) -> str:
        """Give the condition that all arguments are integers, nothing if they are not or all are constants."""
        conditions = []
        for term, name in zip(step.arguments, arguments, strict=True):
            constant = fold(term)
            if constant is None:
                conditions.append(f"{name}.__class__ is int")
            elif constant.value.__class__ is not int:
                return ""
        return " and ".join(conditions)

    def _equal(self, step: Invoke, arguments: Sequence[str]) -> tuple[str, bool]:
        condition = self.equality(arguments[0], arguments[1], *step.arguments)
        return self._named(condition if step.function.path[0] == "equal" else f"not ({condition})"), True

    def _arithmetic(self, step: Invoke, arguments: Sequence[str]) -> tuple[str, bool]:
        left, right = arguments
        name = self.w.fresh()
        operator = _INTEGER_OPERATORS[step.function.path[0]]
        integers = self._integers(step, arguments)
        if not integers:
            return self._builtin(step, arguments)
        self.w.line(f"if {integers}: {name} = {left} {operator} {right}")
        with self.w.block("else:"):
            self._guarded(step, name, self._call(step, arguments))
        return name, False

    def _member(self, step: Invoke, arguments: Sequence[str]) -> tuple[str, bool]:
        """Write `x in constants` as a look-up in a set."""
        constant = fold(step.arguments[1])
        if constant is None or constant.value.__class__ not in (list, frozenset, dict):
            return self._builtin(step, arguments)
        values = constant.value
        forms = values if values.__class__ is frozenset else self.policy.members(values)
        return self._named(f"{self.form(step.arguments[0])} in {self.unit.name('m', forms)}"), True


_WRITTEN: dict[str, Callable[[CallCompiler, Invoke, list[str]], tuple[str, bool]]] = {
    **dict.fromkeys(_COMPARISONS, CallCompiler._compare),  # noqa: SLF001
    **dict.fromkeys(_INTEGER_OPERATORS, CallCompiler._arithmetic),  # noqa: SLF001
    "equal": CallCompiler._equal,  # noqa: SLF001
    "neq": CallCompiler._equal,  # noqa: SLF001
    "internal.member_2": CallCompiler._member,  # noqa: SLF001
}
