"""Terms without anything to find out, as the constants that they are."""

from ztag_extauthz.rego.lower import ir
from ztag_extauthz.rego.values import Value, key, make_set


def fold(term: ir.Term) -> ir.Const | None:
    """Give a term that holds constants alone as one constant."""
    if isinstance(term, ir.Const):
        return term
    if isinstance(term, ir.ListTerm):
        items = [fold(item) for item in term.items]
        return ir.Const([item.value for item in items if item]) if all(items) else None
    if isinstance(term, ir.SetTerm):
        items = [fold(item) for item in term.items]
        return ir.Const(make_set([item.value for item in items if item])) if all(items) else None
    if isinstance(term, ir.ObjectTerm):
        return _fold_object(term)
    return None


def _fold_object(term: ir.ObjectTerm) -> ir.Const | None:
    made: dict[object, Value] = {}
    for wanted, value in term.pairs:
        name, member = fold(wanted), fold(value)
        if name is None or member is None or key(name.value) in made:
            return None
        made[key(name.value)] = member.value
    return ir.Const(made)
