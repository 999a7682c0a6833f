"""Rego's values as Python objects.

| Rego    | Python                                                                   |
|---------|--------------------------------------------------------------------------|
| null    | `None`                                                                   |
| boolean | `bool`                                                                   |
| number  | `int`, or `Number` where the text is no plain integer (`1.0`, `1e400`, `-0`) |
| string  | `str`                                                                    |
| array   | `list`                                                                   |
| object  | `dict` from key forms to values                                          |
| set     | `frozenset` of key forms                                                 |

A *key form* is what stands for a value where Python hashes: strings, numbers and null stand for
themselves; booleans (for Python `True == 1`), arrays, objects and sets are wrapped in a `Key`.
So a JSON document with string keys is its own representation, and look-ups by string cost nothing.

A value is never changed once it is made. Undefined is no value: it is the object `UNDEFINED`.
"""

import re
from decimal import Decimal
from functools import cmp_to_key
from typing import Any, Final, Self, TypeAlias

from ztag_extauthz.rego.pace import budget, overspent, spend

Value: TypeAlias = Any
KeyForm: TypeAlias = Any


class Undefined:
    """The type of `UNDEFINED`, what an expression without a value gives."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "undefined"

    def __bool__(self) -> bool:
        return False


UNDEFINED: Final = Undefined()


class Number(Decimal):
    """A number that is no plain integer, exact, with the text that it was written with.

    It equals, orders and hashes as the number that it is: `Number("1.0") == 1`.
    """

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Self:
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __reduce__(self) -> tuple[type["Number"], tuple[str]]:
        return Number, (self.text,)


class Key:
    """The key form of a value that Python cannot hash, or would take for another one."""

    __slots__ = ("_hash", "value")

    def __init__(self, value: Value) -> None:
        self.value = value
        self._hash = _hash(value)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return other.__class__ is Key and equal(self.value, other.value)

    def __repr__(self) -> str:
        return f"Key({self.value!r})"


def _hash(value: Value) -> int:
    kind = value.__class__
    if kind is bool:
        return 7 if value else 3
    if kind is list:
        spend(len(value))
        return hash((11, *map(key, value)))
    if kind is dict:
        spend(len(value))
        return hash(frozenset((form, key(member)) for form, member in value.items()))
    return hash((13, value))


_TRUE: Final = Key(True)  # noqa: FBT003
_FALSE: Final = Key(False)  # noqa: FBT003


def key(value: Value) -> KeyForm:
    """Give the key form of a value."""
    kind = value.__class__
    if kind is str or kind is int or kind is Number or value is None:
        return value
    if kind is bool:
        return _TRUE if value else _FALSE
    return Key(value)


def unkey(form: KeyForm) -> Value:
    """Give the value that a key form stands for."""
    return form.value if form.__class__ is Key else form


def make_set(values: list[Value]) -> frozenset[KeyForm]:
    return frozenset(map(key, values))


def members(value: frozenset[KeyForm]) -> list[Value]:
    """Give the members of a set in Rego's order."""
    return [unkey(form) for form in ordered_forms(value)]


_RANKS: Final = {type(None): 0, bool: 1, int: 2, Number: 2, str: 3, list: 4, dict: 5, frozenset: 6}
_NAMES: Final = ("null", "boolean", "number", "string", "array", "object", "set")


def type_name(value: Value) -> str:
    return _NAMES[_RANKS[value.__class__]]


def is_number(value: Value) -> bool:
    kind = value.__class__
    return kind is int or kind is Number


_INT64: Final = re.compile(r"([+-]?)([0-9]*)(?:\.0*)?", re.ASCII)


def int64(value: Value) -> int | None:
    """Give a number as the machine's integer where OPA wants one: `1.0` is one, `1e0` and 2**63 are none."""
    if value.__class__ is int:
        return value if -(1 << 63) < value < 1 << 63 else None
    if value.__class__ is not Number or len(value.text.lstrip("+-")) > 19:
        return None
    match = _INT64.fullmatch(value.text)
    return None if match is None else int64(int(f"{match[1]}{match[2] or 0}"))


def equal(left: Value, right: Value) -> bool:
    """Tell whether two values are the same one to Rego.

    Python's `==` is coarser (`True == 1`, also within lists), so its no is a no, and its yes is looked into.
    """
    kind = left.__class__
    if kind is not right.__class__:
        return (kind is int or kind is Number) and is_number(right) and bool(left == right)
    if kind is list or kind is dict:
        size = len(left)
        if size != len(right):
            return False
        budget.left -= size + 1  # as `spend` does, whose call would cost as much as comparing two elements
        if budget.left < 0:
            overspent()
        return all(map(equal, left, right)) if kind is list else _equal_members(left, right)
    return bool(left == right)


def _equal_members(left: dict[KeyForm, Value], right: dict[KeyForm, Value]) -> bool:
    for form, member in left.items():  # noqa: SIM110 (as a generator it takes a quarter longer)
        if not equal(member, right.get(form, UNDEFINED)):
            return False
    return True


def compare(left: Value, right: Value) -> int:
    """Order two values as OPA does: below 0, 0, or above 0."""
    kind = left.__class__
    rank, other = _RANKS[kind], _RANKS[right.__class__]
    if rank != other:
        return -1 if rank < other else 1
    if rank == 4:
        return _compare_lists(left, right)
    if rank == 5:
        return _compare_objects(left, right)
    if rank == 6:
        return _compare_lists(members(left), members(right))
    if rank == 0 or left == right:
        return 0
    return -1 if left < right else 1


def _compare_lists(left: list[Value], right: list[Value]) -> int:
    spend(len(left))
    for ours, theirs in zip(left, right, strict=False):
        order = compare(ours, theirs)
        if order:
            return order
    return (len(left) > len(right)) - (len(left) < len(right))


def _compare_objects(left: dict[KeyForm, Value], right: dict[KeyForm, Value]) -> int:
    spend(len(left))
    for ours, theirs in zip(ordered_forms(left), ordered_forms(right), strict=False):
        order = compare(unkey(ours), unkey(theirs)) or compare(left[ours], right[theirs])
        if order:
            return order
    return (len(left) > len(right)) - (len(left) < len(right))


order_key: Final = cmp_to_key(compare)


def _order_key_of_form(form: KeyForm) -> Any:
    return order_key(unkey(form))


def ordered(values: list[Value]) -> list[Value]:
    """Sort values in Rego's order."""
    kinds = {value.__class__ for value in values}
    if kinds in ({str}, {int}):
        return sorted(values)
    return sorted(values, key=order_key)


def ordered_forms(forms: Any) -> list[KeyForm]:
    """Sort the keys of an object, or the members of a set, in Rego's order; they stay key forms."""
    kinds = {form.__class__ for form in forms}
    if kinds in ({str}, {int}):
        return sorted(forms)
    return sorted(forms, key=_order_key_of_form)
