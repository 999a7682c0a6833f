"""Arrays."""

from ztag_extauthz.rego.builtins.interface import array, builtin, check_size, integer
from ztag_extauthz.rego.values import Value


@builtin("array.concat")
def concat(left: Value, right: Value) -> Value:
    left, right = array(left, 1), array(right, 2)
    check_size(len(left) + len(right))
    return left + right


@builtin("array.flatten")
def flatten(items: Value) -> Value:
    """Take one level of nesting away."""
    flat: list[Value] = []
    for item in array(items, 1):
        flat.extend(item if item.__class__ is list else (item,))
        check_size(len(flat))
    return flat


@builtin("array.slice")
def part(items: Value, start: Value, stop: Value) -> Value:
    items, first, last = array(items, 1), integer(start, 2), integer(stop, 3)
    last = min(max(last, 0), len(items))
    return items[min(max(first, 0), last) : last]


@builtin("array.reverse")
def reverse(items: Value) -> Value:
    return array(items, 1)[::-1]
