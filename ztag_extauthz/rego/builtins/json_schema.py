"""`json.match_schema` and `json.verify_schema`."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

from ztag_extauthz.rego.builtins.interface import NOT_CONSTANT, builtin, json_text
from ztag_extauthz.rego.builtins.jsonschema.parse import parse
from ztag_extauthz.rego.builtins.jsonschema.schema import Schema, SchemaError
from ztag_extauthz.rego.builtins.jsonschema.validate import result_of
from ztag_extauthz.rego.documents import is_json, loads
from ztag_extauthz.rego.errors import BuiltinError, LimitError
from ztag_extauthz.rego.values import Value

_MAX_REMEMBERED: Final = 20_000


@builtin("json.verify_schema", pure=True)
def verify_schema(schema: Value) -> Value:
    try:
        _schema(_json(schema))
    except BuiltinError as error:
        return [False, f"jsonschema: {error}"]
    return [True, None]


def _specialise(arguments: Sequence[Value]) -> Callable[..., Any] | None:
    document, schema = arguments
    if schema is NOT_CONSTANT or document is not NOT_CONSTANT:
        return None
    try:
        read = _schema(_json(schema))
    except Exception:  # noqa: BLE001 (it has to fail at each call, not here)
        return None
    return lambda document: _matched(_json(document), read)


@builtin("json.match_schema", pure=True, specialise=_specialise)
def match_schema(document: Value, schema: Value) -> Value:
    text = _json(document)
    return _matched(text, _schema(_json(schema)))


def _json(value: Value) -> str:
    """Give the JSON text that an argument is, or stands for."""
    if isinstance(value, str):
        if not is_json(value):
            raise BuiltinError("invalid JSON string")
        return value
    if not isinstance(value, dict | list):
        raise BuiltinError("wrong type, expected string or object")
    return json_text(value)


def _schema(text: str) -> Schema:
    """Read a schema, or find it where it has been read; a large one, which an input may bring, is not kept."""
    return _remembered(text) if len(text) <= _MAX_REMEMBERED else _parsed(text)


def _parsed(text: str) -> Schema:
    try:
        return parse(_read(text))
    except SchemaError as error:
        raise BuiltinError(str(error)) from None


_remembered = lru_cache(maxsize=128)(_parsed)


def _read(text: str) -> Value:
    try:
        return loads(text)
    except ValueError as error:
        raise LimitError(f"JSON Schema: {error}") from None


def _matched(document: str, schema: Schema) -> Value:
    errors = result_of(schema, _read(document)).errors
    return [not errors, errors]
