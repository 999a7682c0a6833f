"""A value as Rego text, the way OPA prints it in messages: `{"a": [1, true]}`, `set()`."""

from collections.abc import Iterable

from ztag_extauthz.rego.builtins.golang.quote import quoted
from ztag_extauthz.rego.builtins.interface import check_size
from ztag_extauthz.rego.pace import spend
from ztag_extauthz.rego.values import Number, Value, ordered_forms, unkey


def term_text(value: Value) -> str:  # noqa: PLR0911 (a return for each type)
    """Write a value as a Rego term."""
    kind = value.__class__
    if kind is str:
        return quoted(value)
    if kind in (list, dict, frozenset):
        spend(len(value))
    if kind is list:
        return _joined("[", map(term_text, value), "]")
    if kind is frozenset:
        return _joined("{", (term_text(unkey(form)) for form in ordered_forms(value)), "}") if value else "set()"
    if kind is dict:
        pairs = (f"{term_text(unkey(form))}: {term_text(value[form])}" for form in ordered_forms(value))
        return _joined("{", pairs, "}")
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    return value.text if kind is Number else str(value)


def _joined(opening: str, parts: Iterable[str], closing: str) -> str:
    texts, size = [], 0
    for part in parts:
        texts.append(part)
        size += len(part) + 2
        check_size(size)
    return opening + ", ".join(texts) + closing


def printed(value: Value) -> str:
    """Write a value as `print` does: a string as it is, anything else as a term."""
    return value if value.__class__ is str else term_text(value)
