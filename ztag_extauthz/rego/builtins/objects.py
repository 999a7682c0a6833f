"""Objects: getting, filtering, merging, and containing."""

from typing import Any

from ztag_extauthz.rego.builtins.interface import array, builtin, check_size, element_error, obj, type_error
from ztag_extauthz.rego.errors import OperandError
from ztag_extauthz.rego.pace import spend
from ztag_extauthz.rego.values import UNDEFINED, Value, equal, int64, key


def child(value: Value, place: Value) -> Value:
    """Give what stands at a key, an index, or as a member; `UNDEFINED` where there is nothing."""
    kind = value.__class__
    if kind is dict:
        return value.get(key(place), UNDEFINED)
    if kind is list:
        index = int64(place)
        return value[index] if index is not None and 0 <= index < len(value) else UNDEFINED
    if kind is frozenset:
        return place if key(place) in value else UNDEFINED
    return UNDEFINED


@builtin("object.get")
def get(value: Value, path: Value, default: Value) -> Value:
    current = obj(value, 1)
    for place in path if path.__class__ is list else (path,):
        current = child(current, place)
        if current is UNDEFINED:
            return default
    return current


@builtin("object.keys")
def keys(value: Value) -> Value:
    return frozenset(obj(value, 1))


def _key_forms(value: Value) -> frozenset[Any]:
    if value.__class__ is list:
        return frozenset(map(key, value))
    if value.__class__ in (frozenset, dict):
        return frozenset(value)
    raise type_error(2, value, "object", "set", "array")


@builtin("object.remove")
def remove(value: Value, names: Value) -> Value:
    value, forms = obj(value, 1), _key_forms(names)
    return {form: member for form, member in value.items() if form not in forms}


@builtin("object.filter")
def keep(value: Value, names: Value) -> Value:
    value, forms = obj(value, 1), _key_forms(names)
    return {form: member for form, member in value.items() if form in forms}


@builtin("object.union")
def union(left: Value, right: Value) -> Value:
    return _merged(obj(left, 1), obj(right, 2))


def _merged(left: dict[Any, Value], right: dict[Any, Value]) -> dict[Any, Value]:
    """Merge objects within objects; for anything else the right one wins."""
    spend(len(right))
    result = dict(left)
    for form, member in right.items():
        old = result.get(form, UNDEFINED)
        both = old.__class__ is dict and member.__class__ is dict
        result[form] = _merged(old, member) if both else member
    check_size(len(result))
    return result


@builtin("object.union_n")
def union_all(values: Value) -> Value:
    result: dict[Any, Value] = {}
    for value in array(values, 1):
        if value.__class__ is not dict:
            raise element_error(1, values, value, "object")
        result = _merged(result, value)
    return result


@builtin("object.subset")
def subset(whole: Value, part: Value) -> Value:
    kinds = (whole.__class__, part.__class__)
    if kinds == (list, frozenset):
        return _array_holds_set(whole, part)
    if kinds in ((dict, dict), (frozenset, frozenset), (list, list)):
        return _holds(whole, part)
    raise OperandError("both arguments object.subset must be of the same type or array and set")


def _holds(whole: Value, part: Value) -> bool:
    kind = whole.__class__
    if kind is not part.__class__:
        return equal(whole, part)
    if kind is dict:
        spend(len(part))
        return all(form in whole and _holds(whole[form], member) for form, member in part.items())
    if kind is frozenset:
        return part <= whole  # type: ignore[no-any-return]
    if kind is list:
        return _array_holds_array(whole, part)
    return equal(whole, part)


def _array_holds_array(whole: list[Value], part: list[Value]) -> bool:
    """Look for a run of elements as OPA does, which does not go back after a false start."""
    if len(part) > len(whole):
        return False
    start = length = 0
    while length < len(part):
        if start + length == len(whole):
            return False
        if equal(whole[start + length], part[length]):
            length += 1
        else:
            start, length = start + 1, 0
    return True


def _array_holds_set(whole: list[Value], part: frozenset[Any]) -> bool:
    """Count the array's elements that are members: repeated ones count again, as they do in OPA."""
    unmatched = len(part)
    for item in whole:
        unmatched -= key(item) in part
        if unmatched == 0:
            return True
    return False
