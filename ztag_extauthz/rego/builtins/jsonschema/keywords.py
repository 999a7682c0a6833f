"""The keywords that hold no schemas."""

from collections.abc import Sequence
from fractions import Fraction

from ztag_extauthz.rego.builtins.jsonschema.numbers import canonical, integer, rational
from ztag_extauthz.rego.builtins.jsonschema.schema import (
    HYBRID,
    TYPES,
    Match,
    Schema,
    SchemaError,
    invalid_type,
    list_of,
    text_of,
)
from ztag_extauthz.rego.builtins.regex import matcher
from ztag_extauthz.rego.errors import BuiltinError
from ztag_extauthz.rego.values import Value

Document = dict[str, Value]


def types(document: Document, made: Schema) -> None:
    wanted = document.get("type", [])
    for name in [wanted] if isinstance(wanted, str) else wanted if isinstance(wanted, list) else [None]:
        if not isinstance(name, str):
            raise invalid_type("type", "string/Array Of Strings")
        if name not in TYPES:
            known = " ".join(TYPES)
            raise SchemaError(
                f"has a primitive type that is NOT VALID -- given: /{name}/ Expected valid values are:[{known}]"
            )
        if name in made.types:
            raise SchemaError(f"{name} type is duplicated")
        made.types.append(name)


def compiled(pattern: str, mistake: str) -> Match:
    try:
        return matcher(pattern)
    except BuiltinError:
        raise SchemaError(mistake) from None


# -- numbers


def numbers(document: Document, made: Schema, draft: int) -> None:
    if "multipleOf" in document:
        made.multiple_of = rational(document["multipleOf"])
        if made.multiple_of is None:
            raise invalid_type("Number", "multipleOf")
        if made.multiple_of <= 0:
            raise SchemaError("multipleOf must be strictly greater than 0")
    made.minimum, made.exclusive_minimum = _limits(document, "minimum", "exclusiveMinimum", draft)
    made.maximum, made.exclusive_maximum = _limits(document, "maximum", "exclusiveMaximum", draft)


def _limits(document: Document, name: str, exclusive: str, draft: int) -> tuple[Fraction | None, Fraction | None]:
    """Read a limit and the exclusive one, which in draft 4 says by true that the limit is exclusive."""
    limit = rational(document.get(name))
    if name in document and limit is None:
        raise SchemaError(f"{name} must be of a Number")
    if exclusive not in document:
        return limit, None
    found = document[exclusive]
    if isinstance(found, bool) and draft in (4, HYBRID):
        if limit is None:
            raise SchemaError(f"{exclusive} cannot be used without {name}")
        return (None, limit) if found else (limit, None)
    number = rational(found)
    if number is None or draft == 4:
        raise invalid_type({4: "boolean", HYBRID: "boolean/number"}.get(draft, "number"), exclusive)
    return limit, number


# -- texts


def texts(document: Document, made: Schema) -> None:
    _range(document, made, ("minLength", "maxLength"))
    pattern = text_of(document, "pattern")
    if pattern is not None:
        made.pattern = (pattern, compiled(pattern, "pattern must be a valid regex"))
    made.format = text_of(document, "format") or ""


def _range(document: Document, made: Schema, names: Sequence[str], *, ordered: bool = True) -> None:
    for name in names:
        if name in document:
            made.sizes[name] = _size(document[name], name)
    least, most = names
    if ordered and made.sizes.get(least, 0) > made.sizes.get(most, 1 << 63):
        raise SchemaError(f"{least} cannot be greater than {most}")


def _size(value: Value, name: str) -> int:
    size = integer(value)
    if size is None:
        raise SchemaError(f"{name} must be of an integer")
    if size < 0:
        raise SchemaError(f"{name} must be greater than or equal to 0")
    return size


# -- objects, arrays, and any value


def sizes(document: Document, made: Schema) -> None:
    _range(document, made, ("minProperties", "maxProperties"))
    for name in list_of(document, "required") or ():
        if not isinstance(name, str):
            raise invalid_type("string", "required")
        if name in made.required:
            raise SchemaError("required items must be unique")
        made.required.append(name)
    _range(document, made, ("minItems", "maxItems"), ordered=False)
    if "uniqueItems" in document:
        if not isinstance(document["uniqueItems"], bool):
            raise SchemaError("uniqueItems must be of a boolean")
        made.unique_items = document["uniqueItems"]


def values(document: Document, made: Schema, draft: int) -> None:
    if "const" in document and draft >= 6:
        made.const = canonical(document["const"])
    allowed = list_of(document, "enum")
    if allowed is not None:
        made.enum = list(map(canonical, allowed))
        if len(set(made.enum)) < len(made.enum):
            raise SchemaError("enum items must be unique")
