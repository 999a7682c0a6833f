"""The differences that are meant; each stands with its reason in docs/opa-compatibility.md."""

import json
import re
from typing import Any

from envoy.service.auth.v3.external_auth_pb2 import CheckRequest

_STRAY = re.compile(r"[&#; <>\"]|%(?![0-9A-Fa-f]{2})")


def explain(kind: str, request: CheckRequest, theirs: Any, ours: Any) -> str:
    """Name the reason for a difference ("" if there is none)."""
    if kind == "documents":
        return _document(request, theirs, ours)
    result = request.attributes.request.http.headers["x-result"]
    return _answer(result, json.loads(result), theirs, ours)


def _document(request: CheckRequest, theirs: Any, ours: Any) -> str:
    http = request.attributes.request.http
    if http.header_map.headers and _without_body(theirs) == _without_body(ours):
        return "bodies are also read where Envoy sends raw headers"
    return ""


def _without_body(document: Any) -> Any:
    if not isinstance(document, dict):
        return document
    return {name: value for name, value in document.items() if name not in ("parsed_body", "truncated_body")}


def _answer(text: str, result: Any, theirs: Any, ours: Any) -> str:
    if isinstance(theirs, dict) and theirs["body"] == "request_parse_error" and not theirs["metadata"]:
        return "a request that cannot be parsed has a decision id, too"
    if not isinstance(result, dict) or not isinstance(theirs, dict):
        return ""
    if ours == "error UNKNOWN":
        return "a header that cannot be sent is an error" if '"headers": {' in text else ""
    if (
        isinstance(ours, dict)
        and ours["code"]
        and set(map(tuple, ours["headers"])) < set(map(tuple, theirs["headers"]))
    ):
        return "a denial goes out without a header that cannot be sent"
    names = {name.lower() for name, _ in theirs["headers"]}
    lowered = sorted((name.lower(), value) for name, value in theirs["headers"])
    explanations = {
        "a header that is set is not removed as well": names & set(theirs["removed"]),
        "query parameters are encoded": any(_STRAY.search(value) for _, value in theirs["set"]),
        "header names are written in lower case": theirs["headers"] != ours["headers"] and lowered == ours["headers"],
    }
    return next((why for why, found in explanations.items() if found), "")
