"""What a policy answers, as opa-envoy-plugin reads it (its envoyauth/response.go) → `Verdict`.

A boolean, or an object with `allowed`. Fields that an answer does not use are not looked at; whatever is looked at and
has another type than it should is an error, never a denial and never an allow. Stricter than there: a header that could
not be sent as it is (a name that is no token, a value with a line end) is an error as well.

Not so in a denial: policies put into it what a caller has written, and a caller must not make an error of it, for a
permissive proxy lets errors through. There such a header is left out, and so is an entry of the metadata that cannot
be sent.
"""

import logging
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from math import inf, isfinite
from typing import Any, Final

from ztag_extauthz.errors import EvaluationError
from ztag_extauthz.fields import PSEUDO, is_name, is_value
from ztag_extauthz.model import EMPTY, Allow, Deny, Pairs, Reason, Verdict
from ztag_extauthz.rego.documents import by_name
from ztag_extauthz.rego.values import UNDEFINED, Number, Value, members

HTTP_STATUSES: Final = frozenset(
    {100, *range(200, 209), 226, *range(300, 306), 307, 308, *range(400, 418), 421, 422, 423, 424, 426, 428, 429, 431}
    | {*range(500, 509), 510, 511}
)
"""Statuses that both Go and Envoy have a name for."""

MEMBERS: Final = frozenset(
    {"allowed", "headers", "response_headers_to_add", "request_headers_to_remove", "dynamic_metadata", "body"}
    | {"http_status", "query_parameters_to_remove", "query_parameters_to_set"}
)
"""What is read of an answer that is an object."""

_MAX_DEPTH = 64
_MAX_PARTS = 100_000
_log = logging.getLogger(__name__)


def interpret(value: Any, revision: str = "") -> Verdict:
    """Return the verdict that a decision stands for; raises `EvaluationError` where it stands for none.

    `revision` is that of the policies whose decision it is.
    """
    if value is True:
        return Allow(policy_revision=revision)
    if value is False:
        return Deny(Reason.POLICY, policy_revision=revision)
    if value is UNDEFINED:
        raise EvaluationError("the decision is undefined")
    if not isinstance(value, dict):
        raise EvaluationError(f"the decision is {_type(value)}, not a boolean or an object")
    if "allowed" not in value:
        raise EvaluationError("the decision has no `allowed`")
    allowed = value["allowed"]
    if not isinstance(allowed, bool):
        raise EvaluationError(f"`allowed` is {_type(allowed)}, not a boolean")
    return _allow(value, revision) if allowed else _deny(value, revision)


def _allow(result: Mapping[str, Any], revision: str) -> Allow:
    return Allow(
        request_headers=_headers(result, "headers", PSEUDO),
        metadata=_metadata(result),
        request_headers_to_remove=_names(result),
        response_headers=_headers(result, "response_headers_to_add"),
        query_parameters_to_remove=_strings(result, "query_parameters_to_remove"),
        query_parameters=_query_parameters(result),
        policy_revision=revision,
    )


def _deny(result: Mapping[str, Any], revision: str) -> Deny:
    headers = _sendable(_read_headers(result, "headers"))
    metadata = _sendable_metadata(result)
    body = result.get("body")
    if "body" in result and not isinstance(body, str):
        raise EvaluationError(f"`body` is {_type(body)}, not a string")
    status = _status(result)
    return Deny(Reason.POLICY, status=status, headers=headers, body=body, metadata=metadata, policy_revision=revision)


def _status(result: Mapping[str, Any]) -> int | None:
    if "http_status" not in result:
        return None
    status = result["http_status"]
    if isinstance(status, bool) or not isinstance(status, int):
        raise EvaluationError(f"`http_status` is {_type(status)}, not an integer")
    if status not in HTTP_STATUSES:
        raise EvaluationError(f"`http_status` is {status}, which Envoy cannot send")
    return status


def _headers(result: Mapping[str, Any], field: str, pseudo: frozenset[str] = frozenset()) -> Pairs:
    pairs = _read_headers(result, field)
    for name, text in pairs:
        if not is_name(name) and name.lower() not in pseudo:
            raise EvaluationError(f"`{field}` has a name that is no header field's")
        if not is_value(text):
            raise EvaluationError(f"`{field}.{name}` has a control character")
    return pairs


def _sendable(pairs: Pairs) -> Pairs:
    kept = tuple((name, text) for name, text in pairs if is_name(name) and is_value(text))
    if len(kept) < len(pairs):
        _tell_once("headers")
    return kept


@cache
def _tell_once(field: str) -> None:
    """Callers may be behind it, so it must not fill the log."""
    _log.warning("`%s` of a denial has what cannot be sent: it is left out, here and from now on", field)


def _read_headers(result: Mapping[str, Any], field: str) -> Pairs:
    if field not in result:
        return ()
    value = result[field]
    pairs: list[tuple[str, str]] = []
    for headers in _items(value) if _is_array(value) else (value,):
        if not isinstance(headers, dict):
            raise EvaluationError(f"`{field}` holds {_type(headers)}, not an object")
        pairs.extend(_pairs(headers, field))
    return tuple(pairs)


def _query_parameters(result: Mapping[str, Any]) -> Pairs:
    if "query_parameters_to_set" not in result:
        return ()
    parameters = result["query_parameters_to_set"]
    if not isinstance(parameters, dict):
        raise EvaluationError(f"`query_parameters_to_set` is {_type(parameters)}, not an object")
    return tuple(_pairs(parameters, "query_parameters_to_set"))


def _pairs(entries: Mapping[Any, Any], field: str) -> Iterable[tuple[str, str]]:
    for name, value in entries.items():
        if not isinstance(name, str):
            raise EvaluationError(f"`{field}` has {_type(name)} for a name")
        for text in _items(value) if _is_array(value) else (value,):
            if not isinstance(text, str):
                raise EvaluationError(f"`{field}.{name}` is {_type(text)}, not a string or an array of strings")
            yield name, text


def _names(result: Mapping[str, Any]) -> tuple[str, ...]:
    names = _strings(result, "request_headers_to_remove")
    if not all(map(is_name, names)):
        raise EvaluationError("`request_headers_to_remove` has a name that is no header field's")
    return names


def _strings(result: Mapping[str, Any], field: str) -> tuple[str, ...]:
    if field not in result:
        return ()
    value = result[field]
    if not _is_array(value):
        raise EvaluationError(f"`{field}` is {_type(value)}, not an array")
    items = _items(value)
    for item in items:
        if not isinstance(item, str):
            raise EvaluationError(f"`{field}` holds {_type(item)}, not strings")
    return tuple(items)


def _metadata(result: Mapping[str, Any]) -> Mapping[str, Any]:
    struct = _Struct()
    return {name: struct.plain(value) for name, value in _read_metadata(result).items()}


def _sendable_metadata(result: Mapping[str, Any]) -> Mapping[str, Any]:
    kept, struct = {}, _Struct()
    for name, value in _read_metadata(result).items():
        try:
            kept[name] = struct.plain(value)
        except EvaluationError:
            _tell_once("dynamic_metadata")
    return kept


def _read_metadata(result: Mapping[str, Any]) -> Mapping[str, Any]:
    if "dynamic_metadata" not in result:
        return EMPTY
    metadata = result["dynamic_metadata"]
    if not isinstance(metadata, dict):
        raise EvaluationError(f"`dynamic_metadata` is {_type(metadata)}, not an object")
    return by_name(metadata)


class _Struct:
    """A protobuf Struct in the making. A value may hold another one many times over: its parts are counted."""

    def __init__(self) -> None:
        self._parts = 0

    def plain(self, value: Any, depth: int = 0) -> Any:
        """Return what fits into one, where numbers are doubles."""
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise EvaluationError("`dynamic_metadata` is too large")
        if depth > _MAX_DEPTH:
            raise EvaluationError("`dynamic_metadata` is nested too deeply")
        if value is None or value.__class__ in (str, bool):
            return value
        if isinstance(value, dict):
            return {name: self.plain(item, depth + 1) for name, item in by_name(value).items()}
        return [self.plain(item, depth + 1) for item in _items(value)] if _is_array(value) else _double(value)


def _double(value: Any) -> float:
    number = float(value) if abs(value) <= sys.float_info.max else inf
    if not isfinite(number):
        raise EvaluationError("`dynamic_metadata` has a number beyond a double")
    return number


def _is_array(value: Any) -> bool:
    return isinstance(value, list | frozenset)


def _items(value: Value) -> list[Value]:
    """Return an array's items, a set's members in Rego's order."""
    return members(value) if isinstance(value, frozenset) else list(value)


def _type(value: Any) -> str:
    """Name a value's type in Rego's words."""
    if value is None:
        return "null"
    names = {bool: "a boolean", str: "a string", dict: "an object", int: "a number", Number: "a number"}
    return names.get(type(value), "an array" if _is_array(value) else f"of type {type(value).__name__}")
