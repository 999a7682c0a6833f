"""What the compiler works on: rules with names resolved, calls taken apart, and bodies as flat lists of steps.

A step is one simple thing: a unification, one call with simple operands, a test. Which step binds which local
is settled by `analysis/safety.py`, which also puts them in order.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ztag_extauthz.rego.syntax.nodes import Position
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
    operator: str = "="  # or `:=`, which binds to the left alone, or `==`, which binds nothing


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

    def chain(self) -> "list[Definition]":
        """Give the definition with its `else`s."""
        links = [self]
        while links[-1].otherwise is not None:
            links.append(links[-1].otherwise)
        return links

    def nodes(self) -> "Iterator[Any]":
        """Give the steps, the heads, and all below them, the `else`s' too."""
        for link in self.chain():
            for root in (*link.body, link.member, link.value):
                if root is not None:
                    yield from walk(root)


def _pairs(node: ObjectTerm) -> Sequence[Any]:
    return [term for pair in node.pairs for term in pair]


def _given(*nodes: Any) -> Sequence[Any]:
    return [node for node in nodes if node is not None]


# Written out, not found by looking at the fields: loading a policy of 10,000 rules asks a million times.
_BELOW: dict[type, Callable[[Any], Sequence[Any]]] = {
    Const: lambda _: (),
    Local: lambda _: (),
    Function: lambda _: (),
    Path: lambda node: (node.root, *node.path) if node.root.__class__ is Local else node.path,
    ListTerm: lambda node: node.items,
    SetTerm: lambda node: node.items,
    ObjectTerm: _pairs,
    Comp: lambda node: (*_given(node.key), node.value, *node.body),
    Override: lambda node: (node.target, node.value),
    Unify: lambda node: (node.left, node.right, *node.overrides),
    Invoke: lambda node: (*node.arguments, *_given(node.output), *node.overrides),
    Check: lambda node: (node.term, *node.overrides),
    Negation: lambda node: (node.step, *node.overrides),
    ForAll: lambda node: (*_given(node.key), node.value, node.domain, *node.body, *node.overrides),
}


def parts(node: Any) -> Sequence[Any]:
    """Give the terms, steps and overrides directly below one."""
    return _BELOW[node.__class__](node)


def walk(node: Any) -> Iterator[Any]:
    """Give a node and all below it."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(_BELOW[node.__class__](node))


def locals_of(node: Any, *, closures: bool = True) -> set[int]:
    """Give the numbers of the locals in a node, on request without those inside comprehensions and bodies."""
    found: set[int] = set()
    waiting = [node]
    while waiting:
        node = waiting.pop()
        kind = node.__class__
        if kind is Local:
            found.add(node.number)
        elif closures or (kind is not Comp and kind is not ForAll):
            waiting.extend(_BELOW[kind](node))
        elif kind is ForAll:
            waiting.extend((node.domain, *node.overrides))
    return found


def has_closure(node: Any) -> bool:
    """Tell whether a node holds a body of its own."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        kind = node.__class__
        if kind is Comp or kind is ForAll:
            return True
        waiting.extend(_BELOW[kind](node))
    return False
