"""What a schema is once it is read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from ztag_extauthz.rego.values import Value

TYPES: Final = ("array", "boolean", "integer", "number", "null", "object", "string")
HYBRID: Final = 99
"""The draft of schemas that name none."""
VALID_SCHEMA: Final = "Valid Schema"

Match = Callable[[str], bool]


class SchemaError(Exception):
    """The schema is none; the text is the library's."""


@dataclass(slots=True, eq=False)
class Schema:
    """A schema in the making; None and empty stand for keywords that are not there."""

    truth: bool | None = None
    reference: "Schema | None" = None
    types: list[str] = field(default_factory=list)
    properties: dict[str, "Schema"] = field(default_factory=dict)
    pattern_properties: list[tuple[Match, "Schema"]] = field(default_factory=list)
    additional_properties: "bool | Schema | None" = None
    property_names: "Schema | None" = None
    dependencies: dict[str, "list[str] | Schema"] = field(default_factory=dict)
    items: "Schema | list[Schema]" = field(default_factory=list)
    additional_items: "bool | Schema | None" = None
    multiple_of: Fraction | None = None
    minimum: Fraction | None = None
    exclusive_minimum: Fraction | None = None
    maximum: Fraction | None = None
    exclusive_maximum: Fraction | None = None
    sizes: dict[str, int] = field(default_factory=dict)  # minLength, maxItems and the like
    pattern: tuple[str, Match] | None = None
    format: str = ""
    required: list[str] = field(default_factory=list)
    unique_items: bool = False
    contains: "Schema | None" = None
    const: str | None = None
    enum: list[str] | None = None
    one_of: list["Schema"] = field(default_factory=list)
    any_of: list["Schema"] = field(default_factory=list)
    all_of: list["Schema"] = field(default_factory=list)
    negated: "Schema | None" = None
    condition: "Schema | None" = None
    then: "Schema | None" = None
    otherwise: "Schema | None" = None


def invalid_type(expected: str, given: str) -> SchemaError:
    return SchemaError(f"Invalid type. Expected: {expected}, given: {given}")


def text_of(document: dict[str, Value], name: str) -> str | None:
    text = document.get(name)
    if name in document and not isinstance(text, str):
        raise invalid_type("string", name)
    return text


def list_of(document: dict[str, Value], name: str) -> list[Value] | None:
    found = document.get(name)
    if name in document and not isinstance(found, list):
        raise SchemaError(f"{name} must be of an array")
    return found
