"""`print`, `trace` and string interpolation. What is printed goes nowhere unless the context collects it."""

from ztag_extauthz.rego.builtins.interface import array, builtin, check_size, string
from ztag_extauthz.rego.builtins.terms import printed
from ztag_extauthz.rego.errors import EvaluationError
from ztag_extauthz.rego.values import Value, unkey


@builtin("trace")
def trace(note: Value) -> Value:
    string(note, 1)
    return True


@builtin("internal.print")
def print_values(operands: Value) -> Value:
    array(operands, 1)
    return True


@builtin("print")
def print_nothing(*_: Value) -> Value:
    return True


@builtin("internal.template_string")
def template_string(parts: Value) -> Value:
    """Join the parts of `$"..."`: a set holds the one value of an expression, or nothing if it is undefined."""
    text = "".join(map(_part, array(parts, 1)))
    check_size(len(text))
    return text


def _part(value: Value) -> str:
    if value.__class__ is not frozenset:
        return printed(value)
    if len(value) > 1:
        raise EvaluationError("eval_conflict_error", "template-strings must not produce multiple outputs")
    return "".join(printed(unkey(form)) for form in value) if value else "<undefined>"
