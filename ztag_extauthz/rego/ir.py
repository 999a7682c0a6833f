"""What the compiler works on: rules with names resolved, calls taken apart, and bodies as flat lists of steps.

A step is one simple thing: a unification, one call with simple operands, a test. Which step binds which local
is settled by `safety.py`, which also puts them in order.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

from ztag_extauthz.rego.nodes import Position
from ztag_extauthz.rego.values import Value


@dataclass(frozen=True, slots=True)
class Const:
    value: Value


@dataclass(frozen=True, slots=True)
class Local:
    """A variable of one rule, by its number; the rule knows the name that it had."""

    number: int


@dataclass(frozen=True, slots=True)
class Path:
    """A reference: from `input`, `data` or a local along terms; those that are not bound are found by looking."""

    root: "str | Local"
    path: "tuple[Term, ...]"
    position: Position = field(compare=False, default=(0, 0))


@dataclass(frozen=True, slots=True)
class ListTerm:
    items: "tuple[Term, ...]"


@dataclass(frozen=True, slots=True)
class SetTerm:
    items: "tuple[Term, ...]"


@dataclass(frozen=True, slots=True)
class ObjectTerm:
    pairs: "tuple[tuple[Term, Term], ...]"


@dataclass(frozen=True, slots=True)
class Comp:
    """A comprehension; `kind` is array, set or object."""

    kind: str
    key: "Term | None"
    value: "Term"
    body: "Steps"


Term: TypeAlias = Const | Local | Path | ListTerm | SetTerm | ObjectTerm | Comp


@dataclass(frozen=True, slots=True)
class Function:
    """What is called: a built-in by its name, or a rule by its path below `data`."""

    path: tuple[str, ...]
    builtin: bool

    def __str__(self) -> str:
        return ".".join(self.path if self.builtin else ("data", *self.path))


@dataclass(frozen=True, slots=True)
class Override:
    """`with target as value`: `target` is a path into input or data, or a function; so may the value be."""

    target: "Path | Function"
    value: "Term | Function"


Overrides: TypeAlias = tuple[Override, ...]


@dataclass(frozen=True, slots=True)
class Unify:
    left: Term
    right: Term
    position: Position
    overrides: Overrides = ()
    assignment: bool = False


@dataclass(frozen=True, slots=True)
class Invoke:
    """A call. Without `output` its result has to be true."""

    function: Function
    arguments: tuple[Term, ...]
    output: Term | None
    position: Position
    overrides: Overrides = ()


@dataclass(frozen=True, slots=True)
class Check:
    """A term that has to be defined and not false."""

    term: Term
    position: Position
    overrides: Overrides = ()


@dataclass(frozen=True, slots=True)
class Negation:
    step: "Step"
    position: Position
    overrides: Overrides = ()


@dataclass(frozen=True, slots=True)
class ForAll:
    """`every key, value in domain { body }`."""

    key: Local | None
    value: Local
    domain: Term
    body: "Steps"
    position: Position
    overrides: Overrides = ()


Step: TypeAlias = Unify | Invoke | Check | Negation | ForAll
Steps: TypeAlias = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Definition:
    """One definition of a rule. `path` is fixed; `keys` are what follows it in the head and may hold locals."""

    path: tuple[str, ...]
    keys: tuple[Term, ...]
    arguments: tuple[Term, ...] | None
    member: Term | None  # of `contains`
    value: Term | None
    body: Steps
    file: str
    position: Position
    names: tuple[str, ...]  # of the locals; empty for those that the compiler made
    default: bool = False
    otherwise: "Definition | None" = None

    @property
    def place(self) -> str:
        return f"{self.file}:{self.position[0]}"


def parts(node: Any) -> Iterator[Any]:
    """Give the terms, steps and overrides directly below one."""
    for part in fields(node):
        yield from _members(getattr(node, part.name))


_NODES = (
    Const, Local, Path, ListTerm, SetTerm, ObjectTerm, Comp, Unify, Invoke, Check, Negation, ForAll, Override
)  # fmt: skip


def _members(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple):
        for item in value:
            yield from _members(item)
    elif isinstance(value, _NODES):
        yield value


def walk(node: Any) -> Iterator[Any]:
    """Give a node and all below it."""
    yield node
    for part in parts(node):
        yield from walk(part)


def locals_of(node: Any, *, closures: bool = True) -> set[int]:
    """Give the numbers of the locals in a node, on request without those inside comprehensions and bodies."""
    if isinstance(node, Local):
        return {node.number}
    if isinstance(node, Comp) and not closures:
        return set()
    found: set[int] = set()
    below = (node.domain, *node.overrides) if isinstance(node, ForAll) and not closures else parts(node)
    for part in below:
        found |= locals_of(part, closures=closures)
    return found
