"""`Decision` → CheckResponse.

Rules:
1. Code 0 is written for an `Allow` and for nothing else; Envoy reads an empty CheckResponse as code 0.
2. A request header that we set overwrites the client's copy. One that we own and do not set is removed, also where the
   client spells it with underscores (CGI and WSGI know no difference). No name is both set and removed, because Envoy
   up to 1.36 removes last and later ones go by the list.
3. Whatever a client may have written goes into a body only as JSON or as escaped text, and never beyond the bound.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import starmap
from secrets import token_hex

from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse, DeniedHttpResponse, OkHttpResponse
from google.protobuf.wrappers_pb2 import BoolValue
from msgspec.structs import replace

from ztag_extauthz.assertion import HEADER as ASSERTION
from ztag_extauthz.assertion.signer import Signer
from ztag_extauthz.envoy import encoding, problem
from ztag_extauthz.envoy.access_log import NOTE, encoded
from ztag_extauthz.envoy.credentials import Credentials
from ztag_extauthz.envoy.identity import ISSUER, KIND, SUBJECT, headers_of
from ztag_extauthz.envoy.problem import ANSWERS
from ztag_extauthz.envoy.remembered import Remembered, RememberedOf
from ztag_extauthz.errors import EvaluationError
from ztag_extauthz.fields import PSEUDO, is_name, is_value
from ztag_extauthz.identity_headers import IdentityHeaders
from ztag_extauthz.model import EMPTY, Allow, Decision, Deny, Failed, Identity, Pairs, Request
from ztag_extauthz.protected_resource import ProtectedResources
from ztag_extauthz.settings import ResponseSettings

DECISION_ID = "x-ztag-decision-id"
PREFIX = "x-ztag-"
IDENTITY_HEADERS = (SUBJECT, ISSUER, KIND, DECISION_ID)

_OVERWRITE = HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
_ADD = HeaderValueOption.APPEND_IF_EXISTS_OR_ADD

_STATUS_OK = encoding.field(1, b"")
_OK_RESPONSE, _DYNAMIC_METADATA = 3, 4
_HEADERS_TO_REMOVE = 5
_ID = token_hex(18)
"""Stands for a decision's id in what is encoded beforehand; every id is as long, and nobody can write this one."""
_DECISION_ID = encoding.request_header(DECISION_ID, _ID)


class Encoder:
    """Writes answers as the settings ask for."""

    def __init__(
        self,
        settings: ResponseSettings,
        signer: Signer | None = None,
        resources: ProtectedResources = ProtectedResources((), EMPTY),  # noqa: B008 - it is frozen
        credentials: Credentials = Credentials(),  # noqa: B008 - likewise
    ) -> None:
        self._max_body_bytes = settings.max_body_bytes
        self._identity_headers = settings.identity_headers
        self.answers_errors = settings.error_response
        """Whether a `Failed` is answered with `error_response` rather than with a gRPC status."""
        owned = [name.lower() for name in settings.all_owned_headers]
        self._templates = IdentityHeaders(settings.headers)
        kept_back = credentials if settings.remove_credentials else Credentials()
        self._without = kept_back.without if kept_back.cookies else lambda _: None
        self._owned = frozenset(map(_canonical, owned))
        self._marks = (PREFIX, *self._owned)
        spelled = dict.fromkeys((*IDENTITY_HEADERS, ASSERTION, *owned))
        removed = (
            *spelled,
            *(name.replace("-", "_") for name in spelled),
            *map(str.lower, settings.remove_headers),
            *kept_back.headers,
        )
        self._always_removed = tuple(dict.fromkeys(removed))
        self._ours = self._templates.names | {ASSERTION}
        self._signer = signer
        self._resources = resources
        # Kept here rather than beside the functions, so that a reload drops what an older policy said.
        self._removals = Remembered(self._remove)
        self._answers = RememberedOf(self._around_id)

    def encode(self, request: Request, decision: Decision) -> bytes:
        """Return the encoded `envoy.service.auth.v3.CheckResponse`.

        Raises `EvaluationError` for an allow with a header that cannot be sent as it is; a refusal goes without it.
        """
        verdict = decision.verdict
        if isinstance(verdict, Allow):
            return self._allow(request, decision, verdict)
        if isinstance(verdict, Deny):
            return self._deny(request, decision, verdict)
        return self._failed(request, decision, verdict)

    def _allow(self, request: Request, decision: Decision, allow: Allow) -> bytes:
        identity = decision.identity
        assertion = self._signer.assertion(request, identity, decision.id) if self._signer and identity else None
        seen = self._seen(request)
        cookie = self._without(request)
        if seen or assertion or cookie is not None:  # of a client's choice, or new each time
            parts = self._around_id(allow, identity, seen, assertion, cookie)
        else:
            parts = self._answers(allow, identity)
        answer = decision.id.encode().join(parts)
        return answer + encoding.field(_DYNAMIC_METADATA, encoded(decision.notes)) if decision.notes else answer

    def again(self, request: Request, decision: Decision) -> Sequence[bytes] | None:
        """Return what stands between the ids in the answers to requests like this one; None where more is new."""
        if decision.notes or self._signer or self._without(request) is not None:  # other cookies may be secrets, too
            return None
        parts = self.encode(request, decision).split(decision.id.encode())
        # A body that is cut may end within an id.
        return parts if self.encode(request, replace(decision, id=_ID)) == _ID.encode().join(parts) else None

    def _around_id(
        self,
        allow: Allow,
        identity: Identity | None,
        seen: Sequence[str] = (),
        assertion: str | None = None,
        cookie: str | None = None,
    ) -> list[bytes]:
        """Encode an allow; return what stands between the places of the decision's id.

        `cookie` is what the upstream gets of that header, None where that is what the client sent.
        """
        set_by_policy = _joined(allow.request_headers)
        if self._identity_headers and set_by_policy:
            set_by_policy = {name: value for name, value in set_by_policy.items() if name not in IDENTITY_HEADERS}
        ours = dict(self._templates.of(identity))
        set_by_policy = {name: value for name, value in set_by_policy.items() if name not in self._ours} | ours
        names = frozenset(set_by_policy)
        parts = []
        if self._identity_headers:
            who, told = headers_of(identity)
            parts += [who, _DECISION_ID]
            names = names.union(told, (DECISION_ID,))
        if assertion:
            parts.append(_request_header(ASSERTION, assertion))
            names |= {ASSERTION}
        parts.extend(starmap(_request_header, set_by_policy.items()))
        if cookie and "cookie" not in names:
            parts.append(_request_header("cookie", cookie))
            names |= {"cookie"}
        further = ("cookie",) if cookie == "" else ()
        remove = self._remove if seen else self._removals  # names of a client's choice would fill the memory
        parts.append(remove(names, (*seen, *further, *allow.request_headers_to_remove)))
        if allow.response_headers or allow.query_parameters or allow.query_parameters_to_remove:
            parts.append(_rest(allow))
        shadowed = f"{allow.shadowed.reason}" if allow.shadowed else ""
        encoded = _STATUS_OK + encoding.field(_OK_RESPONSE, b"".join(parts)) + _metadata(allow, shadowed=shadowed)
        return encoded.split(_ID.encode())

    def _remove(self, are_set: frozenset[str], further: tuple[str, ...]) -> bytes:
        """Return the encoded names of what is removed: all that is ours, was seen or is named by the policy."""
        names = dict.fromkeys((*self._always_removed, *map(str.lower, further)))
        return b"".join(encoding.text_field(_HEADERS_TO_REMOVE, name) for name in names if name not in are_set)

    def _seen(self, request: Request) -> list[str]:
        """Return the names that the client sent and only we may set."""
        names = "\n".join(request.headers).replace("_", "-")
        if not any(map(names.__contains__, self._marks)):
            return []
        return [name for name in request.headers if self._is_owned(_canonical(name))]

    def _is_owned(self, name: str) -> bool:
        return name.startswith(PREFIX) or name in self._owned

    def _deny(self, request: Request, decision: Decision, deny: Deny) -> bytes:
        answer = ANSWERS[deny.reason]
        status = deny.status or answer.http_status
        response = CheckResponse()
        response.status.code = answer.code
        _fill(
            response.denied_response,
            status,
            (
                *(pair for pair in self._resources.told(request, deny.headers) if pair[0].lower() != DECISION_ID),
                *problem.headers(request, status, deny),
                (DECISION_ID, decision.id),
            ),
            problem.cut(problem.body(request, status, decision.id, deny), self._max_body_bytes),
        )
        return bytes(response.SerializeToString()) + _metadata(deny).replace(_ID.encode(), decision.id.encode())

    def _failed(self, request: Request, decision: Decision, failed: Failed) -> bytes:
        answer = ANSWERS[failed.reason]
        told = Deny(failed.reason)  # without the detail: that is for the operator
        response = CheckResponse()
        response.status.code = answer.code
        _fill(
            response.error_response,
            answer.http_status,
            (*problem.headers(request, answer.http_status, told), (DECISION_ID, decision.id)),
            problem.cut(problem.body(request, answer.http_status, decision.id, told), self._max_body_bytes),
        )
        return bytes(response.SerializeToString()) + _metadata(failed).replace(_ID.encode(), decision.id.encode())


def _canonical(name: str) -> str:
    return name.replace("_", "-")


def _request_header(name: str, value: str) -> bytes:
    """Encode a header that is set on the request."""
    if not (is_name(name) or name in PSEUDO) or not is_value(value):
        raise EvaluationError("a request header cannot be sent as it is")
    return encoding.request_header(name, value)


def _joined(headers: Pairs) -> dict[str, str]:
    """Join repeated request headers (RFC 9110 5.3): one field that overwrites, as a second one would replace the first.

    The client's own copy could only be kept out by adding the rest, which Envoy's versions do in different ways.
    """
    joined: dict[str, str] = {}
    for key, value in headers:
        name = key.lower()
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _rest(allow: Allow) -> bytes:
    """Encode what changes the response and the query.

    Response headers are added, as opa-envoy-plugin's are: a `set-cookie` must not replace the upstream's.
    """
    ok = OkHttpResponse()
    for name, value in allow.response_headers:
        if not is_name(name) or not is_value(value):
            raise EvaluationError("a response header cannot be sent as it is")
        option = ok.response_headers_to_add.add(header=HeaderValue(key=name.lower(), value=value), append_action=_ADD)
        option.append.CopyFrom(BoolValue(value=True))
    for name, value in allow.query_parameters:
        ok.query_parameters_to_set.add(key=problem.query_text(name), value=problem.query_text(value))
    ok.query_parameters_to_remove.extend(allow.query_parameters_to_remove)
    return bytes(ok.SerializeToString())


def _fill(response: DeniedHttpResponse, status: int, headers: Pairs, body: str) -> None:
    """Fill a refusal's or an error's HTTP answer.

    The first field of a name overwrites. Further ones leave `append` out: only so do all versions of Envoy keep both
    (`set-cookie`): until 1.36 `append: true` is lost in a refusal, from 1.37 on `append: false` replaces the first.
    """
    response.status.code = status
    response.body = body
    seen = set()
    for key, value in headers:
        name = key.lower()
        if not is_name(name) or not is_value(value):
            continue  # an error instead could let the request pass, where errors do
        if name in seen:
            response.headers.add(header=HeaderValue(key=name, value=value), append_action=_ADD)
            continue
        seen.add(name)
        option = response.headers.add(header=HeaderValue(key=name, value=value), append_action=_OVERWRITE)
        option.append.CopyFrom(BoolValue(value=False))


def _metadata(verdict: Allow | Deny | Failed, *, shadowed: str = "") -> bytes:
    """Encode the dynamic metadata: the policy's own, `decision_id` as opa-envoy-plugin has it, and ours under `ztag`.

    `_ID` stands for the id. Nothing of a request decides on a key here (envoy#34691), and the policy's `decision_id`,
    `ztag` and whatever reads like a note of ours do not count.
    """
    ours = _own_metadata("" if isinstance(verdict, Allow) else verdict.reason, shadowed)
    if isinstance(verdict, Failed) or not verdict.metadata:
        return ours
    entries = (
        encoding.struct_entry(name, encoding.value(value))
        for name, value in verdict.metadata.items()
        if name not in ("decision_id", "ztag") and not name.startswith(NOTE)
    )
    return encoding.field(_DYNAMIC_METADATA, b"".join(entries)) + ours


@lru_cache(maxsize=128)
def _own_metadata(reason: str, shadowed: str) -> bytes:
    own = {"decision_id": _ID, "reason": reason, "shadowed": shadowed}
    ztag = encoding.struct_entry("ztag", encoding.value({name: value for name, value in own.items() if value}))
    return encoding.field(_DYNAMIC_METADATA, encoding.struct_entry("decision_id", encoding.value(_ID)) + ztag)
