"""Counting, adding up, ordering: functions of a whole collection."""

from collections.abc import Callable
from functools import reduce
from typing import Final

from ztag_extauthz.rego.builtins.golang import bigfloat
from ztag_extauthz.rego.builtins.golang.bigfloat import BigFloat
from ztag_extauthz.rego.builtins.interface import builtin, check_size, element_error, type_error
from ztag_extauthz.rego.builtins.numbers import MAX_BITS, from_float, to_float, whole
from ztag_extauthz.rego.values import UNDEFINED, Number, Value, compare, is_number, members, ordered

_PRODUCT: Final = 53
_ZERO: Final = BigFloat(False, 0, 0)  # noqa: FBT003


@builtin("count")
def count(collection: Value) -> Value:
    if collection.__class__ in (str, list, dict, frozenset):
        return len(collection)
    raise type_error(1, collection, "array", "object", "set", "string")


def _items(collection: Value) -> list[Value]:
    if collection.__class__ is list:
        return collection
    if collection.__class__ is frozenset:
        return members(collection)
    raise type_error(1, collection, "set", "array")


def _numbers(collection: Value) -> list[int | Number]:
    items = _items(collection)
    for item in items:
        if not is_number(item):
            raise element_error(1, collection, item, "number")
    return items


def _accumulate(
    collection: Value,
    start: int,
    exact: Callable[[int, int], int],
    inexact: Callable[[BigFloat, BigFloat], BigFloat],
) -> Value:
    numbers = _numbers(collection)
    integers = list(map(whole, numbers))
    if None not in integers:
        result = start
        for item in integers:
            result = exact(result, item)  # type: ignore[arg-type]
            check_size(result.bit_length(), MAX_BITS)
        return result
    first = bigfloat.from_int(start) if start else _ZERO
    return from_float(reduce(inexact, map(to_float, numbers), first))


@builtin("sum")
def total(collection: Value) -> Value:
    return _accumulate(collection, 0, int.__add__, bigfloat.add)


@builtin("product")
def product(collection: Value) -> Value:
    return _accumulate(collection, 1, int.__mul__, lambda left, right: bigfloat.multiply(left, right, _PRODUCT))


@builtin("max")
def maximum(collection: Value) -> Value:
    items = _items(collection)
    return reduce(lambda best, item: item if compare(best, item) <= 0 else best, items) if items else UNDEFINED


@builtin("min")
def minimum(collection: Value) -> Value:
    items = _items(collection)
    return reduce(lambda best, item: item if compare(best, item) >= 0 else best, items) if items else UNDEFINED


@builtin("sort")
def sort(collection: Value) -> Value:
    return ordered(_items(collection))
