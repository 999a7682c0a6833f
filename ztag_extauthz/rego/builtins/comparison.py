"""Comparison, membership, and the operators on sets."""

from ztag_extauthz.rego.builtins.interface import builtin, rego_set
from ztag_extauthz.rego.values import Value, compare, equal, int64, key


@builtin("equal")
def equals(left: Value, right: Value) -> Value:
    return equal(left, right)


@builtin("neq")
def not_equal(left: Value, right: Value) -> Value:
    return not equal(left, right)


@builtin("lt")
def less(left: Value, right: Value) -> Value:
    return compare(left, right) < 0


@builtin("lte")
def at_most(left: Value, right: Value) -> Value:
    return compare(left, right) <= 0


@builtin("gt")
def greater(left: Value, right: Value) -> Value:
    return compare(left, right) > 0


@builtin("gte")
def at_least(left: Value, right: Value) -> Value:
    return compare(left, right) >= 0


@builtin("and")
def set_and(left: Value, right: Value) -> Value:
    return rego_set(left, 1) & rego_set(right, 2)


@builtin("or")
def set_or(left: Value, right: Value) -> Value:
    return rego_set(left, 1) | rego_set(right, 2)


@builtin("internal.member_2")
def member(value: Value, collection: Value) -> Value:
    kind = collection.__class__
    if kind is frozenset:
        return key(value) in collection
    if kind is list:
        return any(equal(value, item) for item in collection)
    if kind is dict:
        return any(equal(value, item) for item in collection.values())
    return False


@builtin("internal.member_3")
def member_with_key(place: Value, value: Value, collection: Value) -> Value:
    kind = collection.__class__
    if kind is frozenset:
        return key(place) in collection and equal(place, value)
    if kind is dict:
        form = key(place)
        return form in collection and equal(value, collection[form])
    if kind is list:
        index = int64(place)
        return index is not None and 0 <= index < len(collection) and equal(value, collection[index])
    return False
