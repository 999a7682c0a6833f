"""`strings.render_template`."""

from typing import Any

from ztag_extauthz.rego.builtins.golang.template import render
from ztag_extauthz.rego.builtins.interface import builtin, check_size, obj, string
from ztag_extauthz.rego.builtins.terms import term_text
from ztag_extauthz.rego.documents import is_json, loads
from ztag_extauthz.rego.errors import BuiltinError, LimitError
from ztag_extauthz.rego.values import Value


@builtin("strings.render_template")
def render_template(template: Value, values: Value) -> Value:
    text, size = string(template, 1), 0
    parts = []
    for part in render(text, _document(obj(values, 2))):
        size += len(part)
        check_size(size)
        parts.append(part)
    return "".join(parts).replace("<no value>", "<undefined>")


def _document(values: dict[Any, Value]) -> Value:
    """Read the values as OPA does, which takes the text of the term for JSON: sets and some signs fail."""
    text = term_text(values)
    if not is_json(text):
        raise BuiltinError("invalid character")
    try:
        return loads(text)
    except ValueError as error:
        raise LimitError(f"strings.render_template: {error}") from None
