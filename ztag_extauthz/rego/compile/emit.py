"""Python source as it is being written: functions, fresh names, and the table of constants.

Nothing of a policy's text reaches the source: constants stand in the table, all names are made here.
"""

from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from ztag_extauthz.rego.lower.ir import Local
from ztag_extauthz.rego.values import Key, Value, key

if TYPE_CHECKING:
    from ztag_extauthz.rego.compile.index import Index

MAX_BLOCKS: Final = 16
"""Python nests at most 20 loops and try statements in one function."""

_INLINE: Final = {True: "True", False: "False", None: "None"}


class Unit:
    """The source of one policy, and the objects that its global names stand for."""

    def __init__(self) -> None:
        self.functions: list[str] = []
        self.table: dict[str, Any] = {}
        self.data_paths: dict[str, tuple[Value, ...]] = {}
        self._constants: dict[Any, str] = {}
        self._data_names: dict[Any, str] = {}
        self.indexes: list[Index] = []
        self.notes: dict[str, str] = {}  # what a function was made from, for those who read the source
        self._written: dict[str, str] = {}
        self._count = 0

    def add(self, name: str, parameters: str, lines: Sequence[str], *, shared: bool = True) -> str:
        """Add a function, or give the name of one that was added before and is the same."""
        text = "\n".join([f"({parameters}):", *(lines or ["    pass"])])
        if not shared or text not in self._written:
            self._written[text] = name
            self.functions.append(f"def {name}{text}")
        return self._written[text]

    def index(self, index: "Index") -> str:
        """Give the name of an index, whose functions are filled in when the policy is linked."""
        self.indexes.append(index)
        return self.name("x", index)

    def fresh(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count}"

    def name(self, prefix: str, thing: Any) -> str:
        """Give a new global name that stands for an object."""
        name = self.fresh(prefix)
        self.table[name] = thing
        return name

    def constant(self, value: Value) -> str:
        """Give an expression for a constant."""
        kind = value.__class__
        if kind is bool or value is None:
            return _INLINE[value]
        if kind is int and 0 <= value < 1_000_000:
            return f"({int.__repr__(value)})"
        # Equal numbers may be written differently, and Python takes 1 and True for one key.
        own = (kind, getattr(value, "text", None), key(value))
        if own not in self._constants:
            self._constants[own] = self.name("c", value)
        return self._constants[own]

    def form(self, value: Value) -> str:
        """Give an expression for the key form of a constant."""
        form = key(value)
        return self.name("k", form) if form.__class__ is Key else self.constant(value)

    def data(self, path: tuple[Value, ...]) -> str:
        """Give the name that stands for what the base documents hold at a path, or UNDEFINED."""
        own = tuple(map(key, path))
        if own not in self._data_names:
            self._data_names[own] = self.fresh("d")
            self.data_paths[self._data_names[own]] = path
        return self._data_names[own]


class Writer:
    """Writes one function. `fail` is the statement that gives up on what is being tried."""

    def __init__(self, unit: Unit, name: str, parameters: Sequence[str], fail: str) -> None:
        self.unit = unit
        self.name = name
        self.bound: dict[int, str] = {}
        self.state = "s"
        self._fail = fail
        self._step = -1
        self._seen: list[str] = []
        self._since = 0
        self._branches = 0
        self._known: dict[tuple[str, ...], str] = {}
        self.live: Container[int] | None = None  # the locals that the steps to come need; None for all
        self.blocks = 0
        self._parameters = ", ".join(parameters)
        self._first: list[str] = []
        self._lines: list[str] = []
        self._indent = 1
        self._count = 0

    @property
    def fail(self) -> str:
        """The statement that gives up; in a traced function it first tells why."""
        if self._step < 0 or self._fail == "pass":
            return self._fail
        seen = "".join(f"{name}, " for name in dict.fromkeys(self._seen))
        return f"s.trace.failed({self._step}, ({seen})); {self._fail}"

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Write something that never gives up."""
        outer, self._fail = self._fail, "pass"
        yield
        self._fail = outer

    def trace(self, step: int) -> None:
        """From now on tell of this step when giving up."""
        self._step = step
        self._seen = []

    def begin(self, live: Container[int]) -> None:
        """Begin a step."""
        self._since = self._count
        self.live = live

    def see(self, name: str) -> None:
        """Take note of a value that shows why a step fails."""
        if name[:1] in "vpaed":
            self._seen.append(name)

    def fresh(self) -> str:
        self._count += 1
        return f"v{self._count}"

    def first(self, text: str) -> None:
        """Write a line that stands before all others."""
        self._first.append("    " + text)

    def line(self, text: str) -> None:
        self._lines.append("    " * self._indent + text)

    def require(self, condition: str) -> None:
        self.line(f"if not ({condition}): {self.fail}")

    def refuse(self, condition: str) -> None:
        self.line(f"if {condition}: {self.fail}")

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        self.line(head)
        self._indent += 1
        self._branches += 1
        yield
        self._branches -= 1
        self._indent -= 1

    def recall(self, expression: tuple[str, ...]) -> str | None:
        """Give the name of what was computed before, in lines that are always run before these."""
        return self._known.get(expression)

    def remember(self, expression: tuple[str, ...], name: str) -> None:
        if not self._branches:
            self._known[expression] = name

    def loop(self, targets: str, iterable: str) -> None:
        """Open a loop that reaches to the end of the function; in it giving up means to go on."""
        self.line(f"for {targets} in {iterable}:")
        self._indent += 1
        self.blocks += 1
        self._fail = "continue"

    def make_room(self) -> None:
        """If the loops are too many for Python, make those so far a generator, and one loop over it."""
        if self.blocks < MAX_BLOCKS:
            return
        own = {f"v{index + 1}" for index in range(self._since, self._count)}
        kept = {name for number, name in self.bound.items() if self.live is None or number in self.live}
        carried = own | kept | {self.state, *self._known.values()}
        found = ", ".join(sorted(name for name in carried if name[0] == "v"))
        self.line(f"yield ({found},)")
        part = self.unit.add(self.unit.fresh("part_"), self._parameters, self._lines)
        self._lines, self._indent, self.blocks = [], 1, 0
        self.loop(f"({found},)", f"{part}({self._parameters})")

    def bind(self, local: Local, name: str) -> None:
        self.bound[local.number] = name

    def is_bound(self, local: Local) -> bool:
        return local.number in self.bound

    def finish(self, last: str, *, shared: bool = True) -> None:
        """Close all loops, end with a statement, and add the function to the unit; unless shared under its name."""
        self._indent = 1
        if last:
            self.line(last)
        self.name = self.unit.add(self.name, self._parameters, [*self._first, *self._lines], shared=shared)
