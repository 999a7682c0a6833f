"""Terms to expressions: constants, locals, collections, comprehensions."""

from typing import TYPE_CHECKING

from ztag_extauthz.rego.compile.emit import Unit, Writer
from ztag_extauthz.rego.lower import ir
from ztag_extauthz.rego.lower.fold import fold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ztag_extauthz.rego.compile.policy import PolicyCompiler


class TermCompiler:
    """Writes what terms need into a function. A maker is made for each function that is written."""

    def __init__(self, policy: "PolicyCompiler", writer: Writer, *, ordered: bool = False) -> None:
        self.policy = policy
        self.unit: Unit = policy.unit
        self.w = writer
        self.ordered = ordered or policy.places is not None  # whether the order of what is found shows
        self.sure = False  # whether to look into base documents with care: see `manner`
        self._to_come: Sequence[ir.Step] = ()

    def is_known(self, term: ir.Term) -> bool:
        """Tell whether a term has at most one value: all its locals are bound."""
        return all(number in self.w.bound for number in ir.locals_of(term, closures=False))

    def value(self, term: ir.Term) -> str:
        """Write what a known term needs and give an expression for it; undefined gives up."""
        name, certain = self.maybe(term)
        self.w.see(name)
        if not certain:
            self.w.line(f"if {name} is U: {self.w.fail}")
        return name

    def maybe(self, term: ir.Term) -> tuple[str, bool]:
        """Like `value`, but undefined is given as `U`; also tells whether it is certainly defined."""
        constant = fold(term)
        if constant is not None:
            return self.unit.constant(constant.value), True
        if isinstance(term, ir.Path):
            return self.path(term)
        return self._certain(term), True

    def _certain(self, term: ir.Term) -> str:
        match term:
            case ir.Local(number):
                return self.w.bound[number]
            case ir.ListTerm(items):
                return self._named("[" + ", ".join(map(self.value, items)) + "]")
            case ir.SetTerm(items):
                # Of two equal numbers the first stands as it is written, and OPA takes the constants first.
                forms = ", ".join(map(self.form, sorted(items, key=lambda item: fold(item) is None)))
                return self._named(f"frozenset(({forms},))" if items else "frozenset()")
            case ir.ObjectTerm(pairs):
                return self._object(pairs)
            case ir.Comp():
                return self.comprehension(term)
        raise AssertionError(term)

    def _named(self, expression: str) -> str:
        name = self.w.fresh()
        self.w.line(f"{name} = {expression}")
        return name

    def form(self, term: ir.Term) -> str:
        """Give an expression for the key form of a known term."""
        constant = fold(term)
        if constant is not None:
            return self.unit.form(constant.value)
        return f"key({self.value(term)})"

    def _object(self, pairs: tuple[tuple[ir.Term, ir.Term], ...]) -> str:
        constants = [fold(wanted) for wanted, _ in pairs]
        distinct = {self.unit.form(constant.value) for constant in constants if constant}
        if all(constants) and len(distinct) == len(pairs):
            return self._named("{" + ", ".join(f"{self.form(k)}: {self.value(v)}" for k, v in pairs) + "}")
        parts = ", ".join(f"{self.value(k)}, {self.value(v)}" for k, v in pairs)
        return self._named(f"make_object({parts})")

    def path(self, term: ir.Path) -> tuple[str, bool]:
        raise NotImplementedError

    def hoist(self) -> None:
        raise NotImplementedError

    def captured(self, numbers: set[int]) -> list[tuple[int, str]]:
        """Give the bound locals among some, with their names: what a function of its own has to be given."""
        return [(number, self.w.bound[number]) for number in sorted(numbers) if number in self.w.bound]

    def comprehension(self, comp: ir.Comp) -> str:
        """Write a comprehension as a function of its own, and call it."""
        given = self.captured(ir.locals_of(comp))
        function = self.policy.comprehension(comp, [number for number, _ in given])
        return self._named(f"{function}({', '.join([self.w.state, *(name for _, name in given)])})")
