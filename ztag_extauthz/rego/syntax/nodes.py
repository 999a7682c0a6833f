"""The syntax of a module: small frozen nodes, each with the place where it begins."""

from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass, replace
from typing import Any, TypeAlias

from ztag_extauthz.rego.values import Value, key

Position: TypeAlias = tuple[int, int]
"""Line and column, which both count from 1."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """null, a boolean, a number or a string."""

    value: Value
    position: Position


@dataclass(frozen=True, slots=True)
class Var:
    """A name. Wildcards are made unique by the parser: such as `$0`."""

    name: str
    position: Position


@dataclass(frozen=True, slots=True)
class Ref:
    """`head[a].b`: a term and the way into it; `.b` is `["b"]`."""

    head: "Term"
    path: "tuple[Term, ...]"
    position: Position


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a function, or of a built-in by its operator (`infix`)."""

    name: tuple[str, ...]
    arguments: "tuple[Term, ...]"
    position: Position
    infix: bool = False


@dataclass(frozen=True, slots=True)
class Array:
    items: "tuple[Term, ...]"
    position: Position


@dataclass(frozen=True, slots=True)
class Set:
    items: "tuple[Term, ...]"
    position: Position


@dataclass(frozen=True, slots=True)
class Object:
    pairs: "tuple[tuple[Term, Term], ...]"
    position: Position


@dataclass(frozen=True, slots=True)
class Comprehension:
    """`[value | body]`, `{value | body}` or `{key: value | body}`; `kind` is array, set or object."""

    kind: str
    key: "Term | None"
    value: "Term"
    body: "Body"
    position: Position


@dataclass(frozen=True, slots=True)
class Template:
    """`$"…{x}…"`: strings stand for themselves, anything else is put in, undefined as `<undefined>`."""

    parts: "tuple[Scalar | Literal, ...]"
    position: Position


Term: TypeAlias = Scalar | Var | Ref | Call | Array | Set | Object | Comprehension | Template


@dataclass(frozen=True, slots=True)
class Some:
    """`some x, y`."""

    names: tuple[Var, ...]
    position: Position


@dataclass(frozen=True, slots=True)
class SomeIn:
    """`some key, value in domain`."""

    key: Term | None
    value: Term
    domain: Term
    position: Position


@dataclass(frozen=True, slots=True)
class Every:
    """`every key, value in domain { body }`."""

    key: Var | None
    value: Var
    domain: Term
    body: "Body"
    position: Position


@dataclass(frozen=True, slots=True)
class With:
    """`with target as value`."""

    target: Term
    value: Term
    position: Position


@dataclass(frozen=True, slots=True)
class Literal:
    """One expression of a body."""

    expression: Term | Some | SomeIn | Every
    position: Position
    negated: bool = False
    withs: tuple[With, ...] = ()


Body: TypeAlias = tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One definition. `ref` is the head's path; `key` is what `contains` adds; `arguments` make it a function."""

    ref: tuple[Term, ...]
    arguments: tuple[Term, ...] | None
    key: Term | None
    value: Term | None
    body: Body
    position: Position
    default: bool = False
    otherwise: "Rule | None" = None
    annotations: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Import:
    path: tuple[str, ...]
    alias: str
    position: Position


@dataclass(frozen=True, slots=True)
class Module:
    file: str
    package: tuple[str, ...]
    imports: tuple[Import, ...]
    rules: tuple[Rule, ...]
    lines: tuple[str, ...]
    position: Position
    annotations: tuple[Value, ...] = ()
    replaced: frozenset[str] = frozenset()  # the dotted names that any `with` in it replaces

    def line(self, number: int) -> str:
        return self.lines[number - 1] if 0 < number <= len(self.lines) else ""


def children(node: Any) -> Iterator[Any]:
    """Give the nodes directly below a node."""
    for name in node.__dataclass_fields__:
        yield from _nodes(getattr(node, name))


def plain(node: Any) -> Any:
    """Give what tells syntax apart, wherever it stands."""
    if isinstance(node, Scalar):  # most keys of objects are
        return Scalar, key(node.value)
    if is_dataclass(node):
        own = (plain(getattr(node, name)) for name in node.__dataclass_fields__ if name != "position")
        return (node.__class__, *own)
    return tuple(map(plain, node)) if isinstance(node, tuple) else key(node)


def _nodes(value: Any) -> Iterator[Any]:
    if is_dataclass(value):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _nodes(item)


__all__ = [name for name in dir() if not name.startswith("_")] + ["replace"]
