"""What pydantic found → `Mistake`s that say where, what, and what would be right.

Values are not repeated, except where one of a list of words is expected: a value may be a secret, a wrong word is not.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, TypeAlias

from msgspec import Struct
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ztag_extauthz.errors import Mistake
from ztag_extauthz.settings.document import Document, Path, spell
from ztag_extauthz.settings.environment import PREFIX, variable
from ztag_extauthz.settings.fields import description_of, fields_at, kinds_at

Finding: TypeAlias = tuple[Path, str, str]
"""Where, what, remedy."""


class _Found(Struct, frozen=True):
    """One error of pydantic, placed in the document."""

    path: Path
    context: Mapping[str, Any]
    value: Any
    document: Document


def findings_of(error: ValidationError, document: Document) -> Iterator[Finding]:
    """Yield where, what and remedy of each error."""
    placed = [(details, _place(details, document)) for details in error.errors(include_url=False)]
    unknown = [found.path for details, found in placed if details["type"] == "extra_forbidden"]
    for details, found in placed:
        if details["type"] == "too_short" and len(found.value) >= found.context["min_length"]:
            continue  # pydantic does not count entries that have mistakes of their own
        if details["type"] == "missing" and _is_misspelt(found.path, unknown):
            continue  # one mistake, told where the misspelt key stands
        yield found.path, *EXPLANATIONS.get(details["type"], _invalid)(found)


def mistakes_of(findings: Iterable[Finding], document: Document) -> tuple[Mistake, ...]:
    """Return one mistake for each place in the file's order; a union's members that all complain count as one."""
    mistakes: dict[Path, Mistake] = {}
    for path, what, remedy in findings:
        mistakes.setdefault(path, Mistake(f"{document.origin(path)}: {spell(path)}", what, remedy))
    order = {path: place for place, path in enumerate(document.origins)}
    return tuple(mistakes[path] for path in sorted(mistakes, key=lambda path: order[document.known(path)]))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the known word that is nearest, or all of them."""
    known = sorted(known)
    near = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"


def _is_misspelt(missing: Path, unknown: Iterable[Path]) -> bool:
    beside = [str(path[-1]) for path in unknown if path[:-1] == missing[:-1]]
    return any(get_close_matches(key, [str(missing[-1])], cutoff=0.6) for key in beside)


def _place(details: ErrorDetails, document: Document) -> _Found:
    """Drop from pydantic's location what stands in no document: tags and names of a union's members."""
    path: list[str | int] = []
    value: Any = document.value
    location = details["loc"]
    for index, part in enumerate(location):
        if part in (value if isinstance(value, dict) else range(len(value) if isinstance(value, list) else 0)):
            value = value[part]
        elif details["type"] == "missing" and index == len(location) - 1:
            value = None
        else:
            continue
        path.append(part)
    return _Found(tuple(path), details.get("ctx", {}), value, document)


def _unknown_key(found: _Found) -> tuple[str, str]:
    *parents, key = found.path
    known = fields_at(tuple(parents), found.document.value)
    if found.document.origin(found.path).startswith(PREFIX):
        near = get_close_matches(str(key), known, n=1)
        known = [variable((*parents, near[0]))] if near else sorted(variable((*parents, name)) for name in known)
        return "no such setting", f"did you mean {known[0]}?" if near else f"known: {', '.join(known)}"
    return "unknown key", did_you_mean(str(key), known)


def _missing(found: _Found) -> tuple[str, str]:
    return "is missing", description_of(found.path, found.document.value)


def _unknown_word(found: _Found) -> tuple[str, str]:
    expected = found.context.get("expected", "")
    if "algorithms" in found.path and str(found.value).startswith("HS"):
        return f"{_word(found.value)} is not allowed", _NO_SECRETS
    words = [word.strip("' ") for word in expected.replace(" or ", ",").split(",")]
    return f"{_word(found.value)} is not allowed", did_you_mean(str(found.value), words)


def _unknown_kind(found: _Found) -> tuple[str, str]:
    kinds = kinds_at(found.path)
    kind = found.value.get("kind")
    if kind == "rate_limit" and found.path[:1] == ("authorization",):
        return (
            f"{_word(kind)} is no kind",
            "for known callers it is kind: quota; before anybody is known, admission.rate_limit",
        )
    return f"{_word(kind)} is no kind", did_you_mean(str(kind), kinds)


def _missing_kind(found: _Found) -> tuple[str, str]:
    keys = set(found.value) if isinstance(found.value, dict) else set()
    kinds = kinds_at(found.path)
    likely = max(kinds, key=lambda kind: len(keys & set(kinds[kind])))
    if keys & set(kinds[likely]):
        return "has no kind", f"did you mean kind: {likely}?"
    return "has no kind", f"add kind: {' or '.join(sorted(kinds))}"


def _not_text(found: _Found) -> tuple[str, str]:
    return f"expected text, got {_name(found.value)}", 'put it in quotes: "…"'


def _too_few(found: _Found) -> tuple[str, str]:
    if kinds := kinds_at(found.path):
        return "is empty", f"list at least one kind: {', '.join(sorted(kinds))}"
    least = found.context["min_length"]
    what = "is empty" if least == 1 else f"needs at least {least} entries"
    return what, description_of(found.path, found.document.value)


def _expected(what: str, remedy: str) -> Callable[[_Found], tuple[str, str]]:
    return lambda found: (f"expected {what}, got {_name(found.value)}", remedy)


def _fixed(what: str, remedy: str) -> Callable[[_Found], tuple[str, str]]:
    return lambda _: (what, remedy)


def _bound(words: str, key: str) -> Callable[[_Found], tuple[str, str]]:
    return lambda found: (f"must be {words} {found.context[key]}", description_of(found.path, found.document.value))


def _own(found: _Found) -> tuple[str, str]:
    """Take a section's own check apart: its ValueError says what is wrong and, in a second line, the remedy."""
    what, _, remedy = str(found.context["error"]).partition("\n")
    return what, remedy


def _invalid(found: _Found) -> tuple[str, str]:
    return "is not of the form that it must have", description_of(found.path, found.document.value)


def _too_short(found: _Found) -> tuple[str, str]:
    least = found.context["min_length"]
    what = "is empty" if least == 1 else f"must have at least {least} characters"
    return what, description_of(found.path, found.document.value)


def _name(value: Any) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "a section"}
    return "nothing" if value is None else names.get(type(value), f"a {type(value).__name__}")


def _word(value: Any) -> str:
    return repr(value)[:40] if isinstance(value, str | int | float) else _name(value)


_NO_SECRETS = "shared secrets are not accepted: have the issuer sign with a private key, e.g. RS256 or ES256"
_WHOLE = _expected("a whole number", "write digits only, e.g. 2")
_NUMBER = _expected("a number", "e.g. 0.5")
_BOOLEAN = _expected("true or false", "write true or false")
_LIST = _expected("a list", "write it as [a, b], or as lines that begin with `- `")
_SECTION = _expected("a section", "write it as lines `key: value`, indented")

EXPLANATIONS: Mapping[str, Callable[[_Found], tuple[str, str]]] = {
    "extra_forbidden": _unknown_key,
    "missing": _missing,
    "literal_error": _unknown_word,
    "enum": _unknown_word,
    "union_tag_invalid": _unknown_kind,
    "union_tag_not_found": _missing_kind,
    "string_type": _not_text,
    "too_short": _too_few,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _fixed("is not finite", "e.g. 0.5"),
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "dict_type": _SECTION,
    "mapping_type": _SECTION,
    "model_type": _SECTION,
    "model_attributes_type": _SECTION,
    "greater_than": _bound("more than", "gt"),
    "greater_than_equal": _bound("at least", "ge"),
    "less_than": _bound("less than", "lt"),
    "less_than_equal": _bound("at most", "le"),
    "string_too_short": _too_short,
    "value_error": _own,
}
