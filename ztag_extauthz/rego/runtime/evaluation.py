"""What compiled policies call: the state of one evaluation, look-ups, iteration, and building with conflict checks."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Protocol, TypeVar

from ztag_extauthz.rego.builtins.interface import Context
from ztag_extauthz.rego.errors import BuiltinError, EvaluationError
from ztag_extauthz.rego.pace import CHECK_EVERY
from ztag_extauthz.rego.values import (
    UNDEFINED,
    Key,
    KeyForm,
    Value,
    equal,
    int64,
    key,
    ordered_forms,
    unkey,
)

T = TypeVar("T")

PENDING: Final = object()
"""Stands in the memo for what has not been asked for."""


class State:
    """One evaluation: its input and data, what rules have given so far, and what `with` has replaced."""

    __slots__ = ("_budget", "context", "data", "input", "memo", "mocks", "patches", "trace")

    def __init__(self, input_document: Value, data: Value, context: Context, trace: "Trace | None" = None) -> None:
        self.input = input_document
        self.data = data
        self.context = context
        self.memo: dict[Any, Any] = {}
        self.mocks: dict[str, Any] = {}
        self.patches: dict[tuple[str, ...], Value] = {}
        self.trace = trace
        self._budget = CHECK_EVERY

    def charge(self, count: int) -> None:
        """Pay for visiting so many elements; now and then this looks at the clock."""
        self._budget -= count + 1
        if self._budget < 0:
            self._budget = CHECK_EVERY
            self.context.check()

    def check(self) -> None:
        """Look at the clock."""
        self.context.check()

    def paced(self, members: Iterable[T], count: int) -> Iterable[T]:
        """Pay for a loop when it begins; a long one is interrupted to look at the clock."""
        self.charge(count)
        return members if count <= CHECK_EVERY else self._watched(members)

    def _watched(self, members: Iterable[T]) -> Iterator[T]:
        for index, member in enumerate(members):
            if index % CHECK_EVERY == 0:
                self.context.check()
            yield member

    def failed(self, error: Exception, name: str, place: str) -> None:
        """Take note of a built-in's error: the call is undefined, unless errors are strict."""
        if self.context.strict:
            code = getattr(error, "code", BuiltinError.code)
            raise EvaluationError(code, f"{name}: {error}", place) from None

    def child(self) -> "State":
        """Make a state for an expression under `with`; nothing that rules have given is kept."""
        other = State(self.input, self.data, self.context, self.trace)
        other.mocks = self.mocks
        other.patches = self.patches
        other._budget = self._budget
        return other

    def with_input(self, path: Sequence[str], value: Value) -> "State":
        self.input = replaced(self.input, path, value)
        return self

    def with_data(self, path: tuple[str, ...], value: Value) -> "State":
        self.data = replaced(self.data, path, value)
        kept = {own: patch for own, patch in self.patches.items() if own[: len(path)] != path}
        self.patches = {**kept, path: value}
        return self

    def with_function(self, name: str, replacement: Callable[..., Value]) -> "State":
        self.mocks = {**self.mocks, name: replacement}
        return self

    def unmocked(self) -> "State":
        """Make a state for a call that has been replaced: within it nothing is."""
        other = self.child()
        other.mocks = {}
        return other

    def patched(self, path: tuple[str, ...]) -> Value:
        """Give what `with` has put at a path or above it, or PENDING if nothing."""
        for own, value in self.patches.items():
            if path[: len(own)] == own:
                return lookup(value, path[len(own) :])
            if own[: len(path)] == path:
                return PENDING
        return PENDING


class Trace(Protocol):
    """Hears how an evaluation goes; numbers stand for places in the policy."""

    def entered(self, rule: int) -> None:
        """Hear that a definition is tried."""

    def failed(self, step: int, values: tuple[Value, ...]) -> None:
        """Hear that a step did not hold, with these operands."""

    def gave(self, rule: int, value: Value) -> None:
        """Hear that a definition has given a value."""


def replaced(document: Value, path: Sequence[str], value: Value) -> Value:
    """Give a document with the value at a path replaced; objects on the way are made where there are none."""
    if not path:
        return value
    below = document.get(path[0], UNDEFINED) if document.__class__ is dict else UNDEFINED
    own = document if document.__class__ is dict else {}
    return {**own, path[0]: replaced(below, path[1:], value)}


# -- look-ups


def get(value: Value, wanted: Value) -> Value:
    """Give `value[wanted]`, or UNDEFINED."""
    kind = value.__class__
    if kind is dict:
        return value.get(wanted if wanted.__class__ is str else key(wanted), UNDEFINED)
    if kind is list:
        place = wanted if wanted.__class__ is int else int64(wanted)
        return value[place] if place is not None and 0 <= place < len(value) else UNDEFINED
    if kind is frozenset and key(wanted) in value:
        return wanted
    return UNDEFINED


def lookup(value: Value, path: Iterable[Value]) -> Value:
    for part in path:
        value = get(value, part)
        if value is UNDEFINED:
            return UNDEFINED
    return value


# -- iteration


def items(state: State, value: Value) -> Iterable[tuple[Value, Value]]:
    """Give the keys and values of a collection, nothing for other values."""
    kind = value.__class__
    if kind is list:
        return state.paced(enumerate(value), len(value))
    if kind is dict:
        pairs = ((form.value if form.__class__ is Key else form, member) for form, member in value.items())
        return state.paced(pairs, len(value))
    if kind is frozenset:
        return state.paced(((member, member) for member in map(unkey, value)), len(value))
    return ()


def elements(state: State, value: Value) -> Iterable[Value]:
    """Give the values of a collection, nothing for other values."""
    kind = value.__class__
    if kind is list:
        return state.paced(value, len(value))
    if kind is dict:
        return state.paced(value.values(), len(value))
    if kind is frozenset:
        return state.paced(map(unkey, value), len(value))
    return ()


def ordered_items(state: State, value: Value) -> Iterable[tuple[Value, Value]]:
    """Give the keys and values of a collection in Rego's order, as arrays that are made of them show."""
    kind = value.__class__
    if kind is dict:
        return state.paced([(unkey(form), value[form]) for form in ordered_forms(value)], len(value))
    if kind is frozenset:
        return state.paced([(member, member) for member in map(unkey, ordered_forms(value))], len(value))
    return items(state, value)


def ordered_elements(state: State, value: Value) -> Iterable[Value]:
    if value.__class__ is list:
        return elements(state, value)
    return [member for _, member in ordered_items(state, value)]


def is_collection(value: Value) -> bool:
    kind = value.__class__
    return kind is list or kind is dict or kind is frozenset


# -- building

_OBJECT_CONFLICT = "object keys must be unique"
_RULE_CONFLICT = "complete rules must not produce multiple outputs"
_FUNCTION_CONFLICT = "functions must not produce multiple outputs for same inputs"


def put(target: dict[KeyForm, Value], wanted: Value, value: Value, place: str) -> None:
    """Add a pair to an object that is being made; two values for one key are a conflict."""
    form = wanted if wanted.__class__ is str else key(wanted)
    if form not in target:
        target[form] = value
    elif not equal(target[form], value):
        raise EvaluationError("eval_conflict_error", _OBJECT_CONFLICT, place)


def make_object(*parts: Value) -> Value:
    """Make an object of keys and values in turn, the keys not being known to differ."""
    made: dict[KeyForm, Value] = {}
    for index in range(0, len(parts), 2):
        put(made, parts[index], parts[index + 1], "")
    return made


def conflict(place: str, *, function: bool = False) -> EvaluationError:
    return EvaluationError("eval_conflict_error", _FUNCTION_CONFLICT if function else _RULE_CONFLICT, place)


class Branch:
    """An object in the making of which other definitions may fill in more: `p[x].y := …`."""

    __slots__ = ("members", "place")

    def __init__(self, place: str) -> None:
        self.members: dict[KeyForm, Any] = {}
        self.place = place

    def descend(self, path: Sequence[Value], place: str) -> "Branch":
        node = self
        for part in path:
            below = node.members.setdefault(key(part), Branch(place))
            if below.__class__ is not Branch:
                raise EvaluationError("eval_conflict_error", _OBJECT_CONFLICT, place)
            node = below
        return node

    def put(self, path: Sequence[Value], value: Value, place: str) -> None:
        node, form = self.descend(path[:-1], place), key(path[-1])
        if form not in node.members:
            node.members[form] = value
        elif node.members[form].__class__ in (Branch, set) or not equal(node.members[form], value):
            raise EvaluationError("eval_conflict_error", _OBJECT_CONFLICT, place)

    def add(self, path: Sequence[Value], member: Value, place: str) -> None:
        found = self.descend(path[:-1], place).members.setdefault(key(path[-1]), set())
        if found.__class__ is not set:
            raise EvaluationError("eval_conflict_error", _OBJECT_CONFLICT, place)
        found.add(key(member))

    def value(self) -> Value:
        return {form: _finished(member) for form, member in self.members.items()}


def _finished(member: Any) -> Value:
    if member.__class__ is Branch:
        return member.value()
    return frozenset(member) if member.__class__ is set else member
