"""Schemas, read in the library's order, so that of several mistakes its one is told.

`id` and `$ref` reach no further than the document: only a plain `$id` at its root, and references such as
`#/definitions/x`, are supported. Members are read in the order of their names; the library takes any order.
"""

import re
from typing import Final

from ztag_extauthz.rego.builtins.jsonschema import keywords
from ztag_extauthz.rego.builtins.jsonschema.numbers import unsupported
from ztag_extauthz.rego.builtins.jsonschema.schema import (
    HYBRID,
    VALID_SCHEMA,
    Schema,
    SchemaError,
    invalid_type,
    list_of,
    text_of,
)
from ztag_extauthz.rego.pace import spend
from ztag_extauthz.rego.values import Value

_DRAFTS: Final = {f"http://json-schema.org/draft-0{number}/schema": number for number in (4, 6, 7)}
_PLAIN_URL: Final = re.compile(r"https?://[A-Za-z0-9.-]+(?:/[A-Za-z0-9._-]+)*/?#?")
_REFERENCE: Final = re.compile(r"#|#(?:/[A-Za-z0-9_.$~-]+)+")


def parse(document: Value) -> Schema:
    """Read a schema; raises `SchemaError`, or an `EvaluationError` for what is not supported."""
    if document.__class__ not in (bool, dict):
        raise SchemaError("schema is invalid")
    draft = _draft(document) if isinstance(document, dict) else HYBRID
    _refuse_identifiers(document)
    return _Reader(document, draft).schema(document)


def _draft(document: dict[str, Value]) -> int:
    url = document.get("$schema", "")
    if not isinstance(url, str):
        raise SchemaError("$schema must be of type string")
    if url and not _PLAIN_URL.fullmatch(url):
        raise unsupported("such a `$schema`")
    return _DRAFTS.get(url.removesuffix("#"), HYBRID)


def _refuse_identifiers(document: Value, *, is_root: bool = True) -> None:
    """Refuse identifiers that would move the base of references, wherever the library would see one."""
    if isinstance(document, list):
        for member in document:
            _refuse_identifiers(member, is_root=False)
    if not isinstance(document, dict):
        return
    spend(len(document))
    for name in ("id", "$id"):
        own = document.get(name)
        if isinstance(own, str) and not (is_root and _PLAIN_URL.fullmatch(own)):
            raise unsupported("such an `id`")
    for name, member in document.items():
        if name in ("properties", "dependencies", "patternProperties"):
            for inner in member.values() if isinstance(member, dict) else ():
                _refuse_identifiers(inner, is_root=False)
        elif name not in ("const", "enum"):
            _refuse_identifiers(member, is_root=False)


class _Reader:
    def __init__(self, root: Value, draft: int) -> None:
        self._root, self._draft = root, draft
        self._referenced: dict[str, Schema] = {}

    def schema(self, document: Value, into: Schema | None = None) -> Schema:
        made = Schema() if into is None else into
        if document.__class__ is bool and self._draft >= 6:
            made.truth = document
            return made
        if not isinstance(document, dict):
            raise SchemaError(f"Expected: {VALID_SCHEMA}, given: Invalid JSON")
        spend(len(document))
        text_of(document, "id" if self._draft == 4 or (self._draft == HYBRID and "id" in document) else "$id")
        self._definitions(document)
        for name in ("title", "description"):
            text_of(document, name)
        reference = text_of(document, "$ref")
        if reference is None:
            self._keywords(document, made)
        else:
            made.reference = self._reference(reference)
            self._look_at_ignored(document)
        return made

    def _definitions(self, document: dict[str, Value]) -> None:
        if "definitions" not in document:
            return
        found = document["definitions"]
        for _, member in sorted(found.items()) if isinstance(found, dict) else [("", None)]:
            if member.__class__ not in (bool, dict):
                raise invalid_type("Array Of Schemas", "definitions")
            self.schema(member)

    def _reference(self, text: str) -> Schema:
        if not _REFERENCE.fullmatch(text):
            raise unsupported("such a `$ref`")
        if text not in self._referenced:
            made = self._referenced[text] = Schema()
            target = self._target(text)
            if target.__class__ not in (bool, dict):
                raise SchemaError(f"{VALID_SCHEMA} must be of type object")
            self.schema(target, made)
        return self._referenced[text]

    def _target(self, text: str) -> Value:
        node = self._root
        for part in text.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(node, dict):
                raise unsupported("a `$ref` into an array")
            if name not in node:
                raise SchemaError(f"Object has no key '{name}'")
            node = node[name]
        return node

    def _look_at_ignored(self, document: dict[str, Value]) -> None:
        """Read what stands beside a `$ref`: whether its mistakes matter depends on the library's order of members."""
        try:
            self._keywords(document, Schema())
        except SchemaError:
            raise unsupported("a mistake beside a `$ref`") from None

    def _keywords(self, document: dict[str, Value], made: Schema) -> None:
        """Read the keywords in their order, each kind after the schemas that stand before it."""
        keywords.types(document, made)
        self._objects(document, made)
        self._arrays(document, made)
        keywords.numbers(document, made, self._draft)
        keywords.texts(document, made)
        keywords.sizes(document, made)
        if self._draft >= 6 and "contains" in document:
            made.contains = self.schema(document["contains"])
        keywords.values(document, made, self._draft)
        for name, schemas in (("oneOf", made.one_of), ("anyOf", made.any_of), ("allOf", made.all_of)):
            schemas.extend(map(self.schema, list_of(document, name) or ()))
        made.negated = self._one(document, "not")
        if self._draft >= 7:
            made.condition, made.then, made.otherwise = (self._one(document, name) for name in ("if", "then", "else"))

    def _one(self, document: dict[str, Value], name: str) -> Schema | None:
        if name not in document:
            return None
        if document[name].__class__ not in (bool, dict):
            raise SchemaError(f"{name} must be of an object")
        return self.schema(document[name])

    def _objects(self, document: dict[str, Value], made: Schema) -> None:
        properties = document.get("properties", {})
        if not isinstance(properties, dict):
            raise SchemaError("Properties must be of type object")
        made.properties = {name: self.schema(member) for name, member in sorted(properties.items())}
        made.additional_properties = self._more(document, "additionalProperties")
        patterns = document.get("patternProperties", {})
        if not isinstance(patterns, dict):
            raise invalid_type(VALID_SCHEMA, "patternProperties")
        for pattern, member in sorted(patterns.items()):
            matches = keywords.compiled(pattern, f"Invalid regex pattern '{pattern}'")
            made.pattern_properties.append((matches, self.schema(member)))
        if self._draft >= 6 and "propertyNames" in document:
            if document["propertyNames"].__class__ not in (bool, dict):
                raise invalid_type(VALID_SCHEMA, "patternProperties")
            made.property_names = self.schema(document["propertyNames"])
        self._dependencies(document.get("dependencies", {}), made)

    def _more(self, document: dict[str, Value], name: str) -> bool | Schema | None:
        found = document.get(name)
        if name in document and found.__class__ not in (bool, dict):
            raise invalid_type(f"boolean/{VALID_SCHEMA}", name)
        return self.schema(found) if isinstance(found, dict) else found

    def _dependencies(self, found: Value, made: Schema) -> None:
        if not isinstance(found, dict):
            raise SchemaError("dependencies must be of type object")
        for name, wanted in sorted(found.items()):
            if wanted.__class__ in (bool, dict):
                made.dependencies[name] = self.schema(wanted)
            elif isinstance(wanted, list) and all(isinstance(item, str) for item in wanted):
                made.dependencies[name] = wanted
            else:
                raise SchemaError("Dependency must be of type Schema Or Array Of Strings")

    def _arrays(self, document: dict[str, Value], made: Schema) -> None:
        items = document.get("items", [])
        for item in items if isinstance(items, list) else [items]:
            if item.__class__ not in (bool, dict):
                raise invalid_type(f"{VALID_SCHEMA}/Array Of Schemas", "items")
            read = self.schema(item)
            made.items = [*made.items, read] if isinstance(made.items, list) and items.__class__ is list else read
        made.additional_items = self._more(document, "additionalItems")
