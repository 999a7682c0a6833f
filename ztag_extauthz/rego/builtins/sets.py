"""Sets of sets; the operators on two sets are in `comparison.py`."""

from ztag_extauthz.rego.builtins.interface import builtin, check_size, rego_set
from ztag_extauthz.rego.values import Value, members


def _sets(value: Value) -> list[frozenset[Value]]:
    return [rego_set(member, 1) for member in members(rego_set(value, 1))]


@builtin("intersection")
def intersection(value: Value) -> Value:
    sets = _sets(value)
    return frozenset.intersection(*sets) if sets else frozenset()


@builtin("union")
def union(value: Value) -> Value:
    sets = _sets(value)
    check_size(sum(map(len, sets)))
    return frozenset().union(*sets)
