"""Go's `text/template`, the part of it that fills in values.

Texts, fields (`{{.user.name}}`), `.` and `$`, `if`, `else`, `with`, `range` with its variables, comments, and the signs
that trim space. Functions, pipes, literals and definitions are not supported. A field that is not there prints
`<no value>`, one of a null or a text is an error, and a number counts as the text that it was written with.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from ztag_extauthz.rego.errors import BuiltinError, EvaluationError
from ztag_extauthz.rego.pace import spend
from ztag_extauthz.rego.values import Number, Value

_NAME: Final = r"[A-Za-z_][A-Za-z0-9_]*"
_VALUE: Final = rf"(?:(?:\$(?:{_NAME})?)?(?:\.{_NAME})+|\$(?:{_NAME})?|\.)"
_SPACE: Final = " \t\r\n"
_ACTION: Final = re.compile(
    rf"(?P<value>{_VALUE})|(?P<comment>/\*(?:[^*]|\*(?!/))*\*/)|(?P<word>end|else)"
    rf"|(?P<opening>(?:else[{_SPACE}]+)?if|with|range)[{_SPACE}]+"
    rf"(?:(?:\$(?P<key>{_NAME})[{_SPACE}]*,[{_SPACE}]*)?\$(?P<variable>{_NAME})[{_SPACE}]*:=[{_SPACE}]*)?"
    rf"(?P<subject>{_VALUE})"
)
_MISSING: Final = object()
_NO_VALUE: Final = "<no value>"


class _Index(int):
    """A place in a list: Go's integer, which is false if it is zero."""


@dataclass(frozen=True, slots=True)
class _Block:
    """`if`, `with` or `range`, and what is written if it holds, or else."""

    kind: str
    subject: str
    key: str | None
    variable: str | None
    then: "Nodes"
    otherwise: "Nodes"


@dataclass(frozen=True, slots=True)
class _Field:
    text: str


Nodes: TypeAlias = Sequence["str | _Field | _Block"]


def render(template: str, values: Mapping[str, Value]) -> Iterator[str]:
    """Give the parts of the text; raises `BuiltinError` where Go refuses the template or the values."""
    parts = _Parts(template)
    nodes, end = parts.until_end(frozenset())
    if end is not None:
        raise BuiltinError("template: unexpected {{end}} or {{else}}")
    return _written(nodes, _Scope(values, values, {}))


# -- reading


def _pieces(template: str) -> Iterator[str | re.Match[str]]:
    """Give texts and actions in turn, with the space trimmed that actions want trimmed."""
    trims = False
    while True:
        text, opening, template = template.partition("{{")
        left = bool(opening) and template[:1] == "-" and template[1:2] in _SPACE and template[1:2] != ""
        text = text.lstrip(_SPACE) if trims else text
        yield text.rstrip(_SPACE) if left else text
        if not opening:
            return
        action, closing, template = template.partition("}}")
        if not closing:
            raise BuiltinError("template: unclosed action")
        action = action[1:] if left else action
        trims = action[-1:] == "-" and action[-2:-1] in _SPACE and len(action) > 1
        yield _action(action[:-1] if trims else action, plain=not left and not trims)


def _action(text: str, *, plain: bool) -> re.Match[str]:
    found = _ACTION.fullmatch(text.strip(_SPACE))
    # Around a comment Go allows no other space than that of the trimming signs.
    if found is None or (found["comment"] and plain and text != found[0]):
        raise EvaluationError(
            "eval_unsupported_error", f"strings.render_template: {{{{{text[:50]}}}}} is not supported"
        )
    if found["variable"] and found["opening"] != "range":
        raise EvaluationError("eval_unsupported_error", "strings.render_template: a variable is not supported here")
    return found


class _Parts:
    def __init__(self, template: str) -> None:
        self._pieces = _pieces(template)

    def until_end(self, variables: frozenset[str]) -> tuple[Nodes, re.Match[str] | None]:
        """Read up to an `end` or `else`, or to the end of the template."""
        nodes: list[str | _Field | _Block] = []
        for piece in self._pieces:
            spend(1)
            if isinstance(piece, str):
                nodes.append(piece)
            elif piece["value"]:
                nodes.append(_Field(_known(piece["value"], variables)))
            elif piece["opening"] and not piece["opening"].startswith("else"):
                nodes.append(self._block(piece, piece["opening"], variables))
            elif not piece["comment"]:
                return nodes, piece
        return nodes, None

    def _block(self, piece: re.Match[str], kind: str, variables: frozenset[str]) -> _Block:
        own = variables | {name for name in (piece["key"], piece["variable"]) if name}
        subject = _known(piece["subject"], own)
        then, end = self.until_end(own)
        otherwise: Nodes = ()
        if end is not None and end["opening"]:
            if kind != "if":
                raise BuiltinError("template: unexpected {{else if}}")
            otherwise, end = (self._block(end, "if", variables),), None
        elif end is not None and end[0] == "else":
            otherwise, end = self.until_end(own)
            if end is None or end[0] != "end":
                raise BuiltinError("template: expected end")
        elif end is None:
            raise BuiltinError("template: unexpected EOF")
        return _Block(kind, subject, piece["key"], piece["variable"], then, otherwise)


def _known(value: str, variables: frozenset[str]) -> str:
    name = value.partition(".")[0].removeprefix("$")
    if name and name not in variables:
        raise BuiltinError(f"template: undefined variable ${name}")
    return value


# -- writing


@dataclass(frozen=True, slots=True)
class _Scope:
    dot: Value
    root: Value
    variables: Mapping[str, Value]

    def value(self, text: str) -> Value:
        if text == ".":
            return self.dot
        first, *fields = text.split(".")
        found = self.dot if not first else self.root if first == "$" else self._variable(first[1:])
        for name in fields:
            if found is _MISSING:
                break
            if not isinstance(found, Mapping):
                raise BuiltinError(f"template: can't evaluate field {name}")
            found = found.get(name, _MISSING)
        return found

    def _variable(self, name: str) -> Value:
        if name not in self.variables:
            raise BuiltinError(f"template: undefined variable: ${name}")  # `range $x := $x.y`
        return self.variables[name]


def _written(nodes: Nodes, scope: _Scope) -> Iterator[str]:
    for node in nodes:
        spend(1)
        if isinstance(node, str):
            yield node
        elif isinstance(node, _Field):
            value = scope.value(node.text)
            yield _NO_VALUE if value is None or value is _MISSING else _shown(value)
        else:
            yield from _block_written(node, scope)


def _block_written(block: _Block, scope: _Scope) -> Iterator[str]:
    value = scope.value(block.subject)
    if block.kind == "range":
        yield from _range_written(block, value, scope)
    elif not _is_true(value):
        yield from _written(block.otherwise, scope)
    else:
        yield from _written(block.then, replace(scope, dot=value) if block.kind == "with" else scope)


def _range_written(block: _Block, value: Value, scope: _Scope) -> Iterator[str]:
    if value is not None and value is not _MISSING and not isinstance(value, list | Mapping):
        raise EvaluationError(
            "eval_unsupported_error", "strings.render_template: a range over a scalar is not supported"
        )
    names = [name for name in (block.key, block.variable) if name]
    if not _is_true(value):
        # Go gives the variables the value of the whole before there is a first member.
        yield from _written(
            block.otherwise, replace(scope, variables={**scope.variables, **dict.fromkeys(names, value)})
        )
        return
    for place, member in _members(value):
        shown = _Index(place) if isinstance(place, int) else place
        own = dict(zip(reversed(names), (member, shown), strict=False))
        yield from _written(block.then, replace(scope, dot=member, variables={**scope.variables, **own}))


def _members(value: Value) -> Iterable[tuple[Value, Value]]:
    return sorted(value.items()) if isinstance(value, dict) else enumerate(value)


def _is_true(value: Value) -> bool:
    if value is None or value is _MISSING:
        return False
    return bool(value) if isinstance(value, bool | _Index | str | list | Mapping) else True


def _shown(value: Value) -> str:
    """Write a value as Go's `%v`."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        spend(len(value))
        return f"[{' '.join(map(_shown, value))}]"
    if isinstance(value, Mapping):
        spend(len(value))
        return f"map[{' '.join(f'{name}:{_shown(member)}' for name, member in sorted(value.items()))}]"
    return value.text if isinstance(value, Number) else str(value)
