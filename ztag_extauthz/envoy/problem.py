"""What a caller is told: problem details (RFC 9457), plain text, or a gRPC status, by what the caller understands."""

import re
from collections.abc import Mapping
from html import escape
from http import HTTPStatus
from http.client import responses as PHRASES  # noqa: N812 - a table, and its own name says something else
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

import msgspec
from msgspec import Struct

from ztag_extauthz.model import Deny, Pairs, Reason, Request


class Answer(Struct, frozen=True):
    """How a reason looks on the wire."""

    http_status: int
    code: int
    """A code of google.rpc.Code other than OK, for `CheckResponse.status`."""
    title: str


_UNKNOWN, _PERMISSION_DENIED = 2, 7

ANSWERS: Mapping[Reason, Answer] = MappingProxyType(
    {
        Reason.MALFORMED_REQUEST: Answer(400, _PERMISSION_DENIED, "The request is malformed"),
        Reason.AMBIGUOUS_PATH: Answer(400, _PERMISSION_DENIED, "The path can be read in more than one way"),
        Reason.BLOCKED_ADDRESS: Answer(403, _PERMISSION_DENIED, "Requests from this address are not accepted"),
        Reason.RATE_LIMITED: Answer(429, _PERMISSION_DENIED, "Too many requests"),
        Reason.MISSING_CREDENTIALS: Answer(401, _PERMISSION_DENIED, "Credentials are required"),
        Reason.INVALID_CREDENTIALS: Answer(401, _PERMISSION_DENIED, "The credentials are not valid"),
        Reason.RISK: Answer(403, _PERMISSION_DENIED, "The request looks too risky"),
        Reason.STEP_UP: Answer(401, _PERMISSION_DENIED, "A stronger or fresher sign-in is required"),
        Reason.POLICY: Answer(403, _PERMISSION_DENIED, "The policy does not allow this request"),
        Reason.ANSWERED: Answer(403, _PERMISSION_DENIED, "Answered here"),
        Reason.EVALUATION: Answer(500, _UNKNOWN, "The request could not be decided"),
        Reason.UNAVAILABLE: Answer(503, _UNKNOWN, "The request cannot be decided now"),
        Reason.DEADLINE: Answer(504, _UNKNOWN, "The request could not be decided in time"),
        Reason.OVERLOADED: Answer(503, _UNKNOWN, "Too many requests at once"),
        Reason.INTERNAL: Answer(500, _UNKNOWN, "The request could not be decided"),
    }
)
CALLERS_FAULT: Final = frozenset(
    {Reason.MALFORMED_REQUEST, Reason.AMBIGUOUS_PATH, Reason.MISSING_CREDENTIALS, Reason.INVALID_CREDENTIALS}
)
"""Refusals whose detail is the caller's own doing, and may be told."""

# Envoy would turn 400 into INTERNAL and 429 into UNAVAILABLE, and clients would retry both.
GRPC_STATUSES: Mapping[int, int] = MappingProxyType({400: 3, 401: 16, 403: 7, 404: 5, 409: 10, 413: 8, 429: 8, 504: 4})

_MAX_DETAIL = 512
_ACCEPTS_JSON = re.compile(r"\*/\*|application/(?:\*|json|problem\+json)", re.IGNORECASE)
_HTML = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
_STRAY_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")
_QUERY_SAFE = "%+-._~!$'()*,:@/?"


def is_grpc(request: Request) -> bool:
    """Say whether Envoy will answer this request as gRPC: HTTP 200, and our body becomes `grpc-message`."""
    media_type = request.headers.get("content-type", "")
    return media_type == "application/grpc" or media_type.startswith(("application/grpc+", "application/grpc;"))


def headers(request: Request, status: int, deny: Deny) -> Pairs:
    """Return the headers that describe `body`, where they are not the policy's own."""
    own = {name.lower() for name, _ in deny.headers}
    if is_grpc(request):
        code = GRPC_STATUSES.get(status)
        return (("grpc-status", str(code)),) if code is not None and "grpc-status" not in own else ()
    if not (_may_have_body(status) if deny.body is None else deny.body):
        return ()
    # Of the policy's own words, which may repeat the caller's, a browser must make no page.
    problem = deny.body is None and _accepts_json(request)
    media_type = "application/problem+json" if problem else "text/plain; charset=utf-8"
    described = (("content-type", media_type), ("x-content-type-options", "nosniff"))
    return tuple(pair for pair in described if pair[0] not in own)


def body(request: Request, status: int, decision_id: str, deny: Deny) -> str:
    """Return what the caller reads: the policy's own words, or ours."""
    if deny.body is not None:
        return deny.body
    if not _may_have_body(status):
        return ""
    title = ANSWERS[deny.reason].title
    detail = deny.detail[:_MAX_DETAIL] if deny.reason in CALLERS_FAULT else ""
    if is_grpc(request):
        return f"{title}: {detail}" if detail else title
    if _accepts_json(request):
        return _problem(status, title, detail, deny.reason, decision_id)
    lines = [f"{status} {PHRASES.get(status, '')}", title, detail, f"decision {decision_id}"]
    return escape("\n".join(line for line in lines if line)) + "\n"


def cut(text: str, max_bytes: int) -> str:
    """Shorten a text to a number of bytes, without leaving half a character."""
    if len(text) * 4 <= max_bytes:
        return text
    return text.encode()[:max_bytes].decode(errors="ignore")


def query_text(text: str) -> str:
    """Return a query parameter's name or value so that it can neither end itself nor begin another.

    Escapes that are already there stay: policies written for opa-envoy-plugin have to write them.
    """
    return quote(_STRAY_PERCENT.sub("%25", text), safe=_QUERY_SAFE)


def _accepts_json(request: Request) -> bool:
    accept = request.headers.get("accept", "")
    return not accept or _ACCEPTS_JSON.search(accept) is not None


def _may_have_body(status: int) -> bool:
    """Say whether words of ours belong under a status: a policy may answer 204, or send the caller elsewhere."""
    return status >= HTTPStatus.BAD_REQUEST


def _problem(status: int, title: str, detail: str, reason: Reason, decision_id: str) -> str:
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail, "reason": reason}
    if not detail:
        del document["detail"]
    document["decision_id"] = decision_id
    return msgspec.json.encode(document).decode().translate(_HTML)
