"""`Request` and `Decision` → the record of `proto/ztag/v1/decision.proto`, in its JSON mapping.

Rules:
1. no token, no body, no query value, no path parameter (`;jsessionid=…`) and no password in an address, encoded or not,
   whoever asks for the record; what looks like a token is masked (by `to_json`, in every text), what stands in a header
   or a context extension that is named like a secret is masked whole
2. `brief` adds nothing that a caller could fill with whatever they like but the path, the host and the method; claims,
   facts, headers and the answer are for `full`
3. texts are bounded (by `to_json`)
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from ztag_extauthz.model import Allow, Decision, Deny, Failed, Identity, Outcome, Pairs, Reason, Request, Timings
from ztag_extauthz.reporting.masking import MAX_TEXT, NO_NAMES, clean, header, split

if TYPE_CHECKING:
    from ztag_extauthz.proto.ztag.v1 import decision_pb2

_NONE = 0.0  # msgspec leaves out what is this very object


class RequestRecord(Struct, frozen=True, rename="camel", omit_defaults=True):
    id: str = ""
    method: str = ""
    scheme: str = ""
    host: str = ""
    path: str = ""
    protocol: str = ""
    headers: Mapping[str, str] = {}
    source_address: str = ""
    source_principal: str = ""
    destination_address: str = ""
    destination_principal: str = ""
    context_extensions: Mapping[str, str] = {}
    body_size: int = 0
    body_partial: bool = False


class IdentityRecord(Struct, frozen=True, rename="camel", omit_defaults=True):
    subject: str = ""
    issuer: str = ""
    kind: str = ""
    expires_at: datetime | None = None
    claims: Mapping[str, Any] = {}


class RefusalRecord(Struct, frozen=True, rename="camel", omit_defaults=True):
    reason: str = ""
    detail: str = ""


class TimingsRecord(Struct, frozen=True, rename="camel", omit_defaults=True):
    admission_us: float = _NONE
    authentication_us: float = _NONE
    authorization_us: float = _NONE


class FieldRecord(Struct, frozen=True, rename="camel", omit_defaults=True):
    name: str = ""
    value: str = ""


class AnswerRecord(Struct, frozen=True, rename="camel", omit_defaults=True):
    status: int = 0
    request_headers: Sequence[FieldRecord] = ()
    request_headers_to_remove: Sequence[str] = ()
    response_headers: Sequence[FieldRecord] = ()
    query_parameters: Sequence[FieldRecord] = ()
    query_parameters_to_remove: Sequence[str] = ()
    body_size: int = 0
    metadata: Mapping[str, Any] = {}


class DecisionRecord(Struct, frozen=True, rename="camel", omit_defaults=True):
    """`ztag.v1.Decision`; `to_json` writes it."""

    id: str
    time: datetime
    request: RequestRecord
    outcome: str
    stage: str
    decided_by: str
    timings: TimingsRecord
    identity: IdentityRecord | None = None
    reason: str = ""
    detail: str = ""
    rule: str = ""
    shadowed: RefusalRecord | None = None
    policy_revision: str = ""
    facts: Mapping[str, Any] = {}
    answer: AnswerRecord | None = None


def brief(
    request: Request, decision: Decision, headers: Sequence[str] = (), credentials: AbstractSet[str] = NO_NAMES
) -> DecisionRecord:
    """Return what a log may hold: of the request's headers only those named, of the identity no claims."""
    shown = {name: header(name, request.headers[name], credentials) for name in headers if name in request.headers}
    return _record(decision, _request(request, shown), _identity(decision.identity))


def full(request: Request, decision: Decision) -> DecisionRecord:
    """Return all that is known, for whoever asked about this one request (`ztag check`)."""
    shown = {name: header(name, value) for name, value in request.headers.items()}
    identity = decision.identity
    known = _identity(identity)
    if known is not None and identity is not None:
        known = msgspec.structs.replace(known, claims=dict(identity.claims))
    record = _record(decision, _request(request, shown), known)
    return msgspec.structs.replace(record, facts=dict(decision.facts), answer=_answer(decision.verdict))


def to_json(record: DecisionRecord) -> bytes:
    """Return one line of ASCII, whatever the texts hold: nothing in it speaks to a terminal or to a log's reader.

    Each text is `clean`, the names of members too. Nearly always all of them are, and one look at the line tells so.
    """
    try:
        line = _ENCODER.encode(record)
        if len(line) > MAX_TEXT or b"eyJ" in line or b"%" in line:
            line = _ENCODER.encode(_cleaned(record))
    except UnicodeEncodeError:  # half a surrogate pair
        return _ascii(_cleaned(record))
    if not line.isascii():
        line = _ascii(msgspec.json.decode(line))
    return line.replace(b"\x7f", b"\\u007f")


def _cleaned(value: Any) -> Any:
    """Return a record as plain values with every text cleaned."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(name): _cleaned(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(item) for item in value]
    return _cleaned(msgspec.to_builtins(value, enc_hook=plain)) if isinstance(value, Struct) else value


def plain(value: object) -> object:
    """Return a frozen mapping (`model.EMPTY`) or a policy's set as JSON has it."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, AbstractSet):
        return sorted(value, key=repr)
    raise TypeError(type(value).__name__)


def to_message(record: DecisionRecord) -> "decision_pb2.Decision":
    """Return the record as a message. Raises `google.protobuf.json_format.ParseError` for texts that are no Unicode."""
    from google.protobuf import json_format  # noqa: PLC0415 - only where records are exchanged

    from ztag_extauthz.proto.ztag.v1 import decision_pb2  # noqa: PLC0415

    return json_format.Parse(to_json(record), decision_pb2.Decision())


def _record(decision: Decision, request: RequestRecord, identity: IdentityRecord | None) -> DecisionRecord:
    verdict = decision.verdict
    refusal = None if isinstance(verdict, Allow) else verdict
    shadowed = verdict.shadowed if isinstance(verdict, Allow) else None
    return DecisionRecord(
        decision.id,
        datetime.fromtimestamp(decision.time, UTC),
        request,
        outcome_of(decision.verdict),
        decision.stage,
        decision.decided_by,
        timings_of(decision.timings),
        identity,
        refusal.reason if refusal else "",
        refusal.detail if refusal else "",
        rule_of(verdict),
        RefusalRecord(shadowed.reason, shadowed.detail) if shadowed else None,
        verdict.policy_revision,
    )


def outcome_of(verdict: Allow | Deny | Failed) -> Outcome:
    if isinstance(verdict, Deny) and verdict.reason is Reason.ANSWERED:
        return Outcome.ANSWERED
    return _OUTCOMES[type(verdict)]


def rule_of(verdict: Allow | Deny | Failed) -> str:
    """Return the rule that a policy names in its `dynamic_metadata`."""
    if isinstance(verdict, Failed):
        return ""
    rule = (verdict.shadowed or verdict if isinstance(verdict, Allow) else verdict).metadata.get("rule")
    return clean(rule) if isinstance(rule, str) else ""


def _request(request: Request, headers: Mapping[str, str]) -> RequestRecord:
    extensions = {name: header(name.lower(), value) for name, value in request.context_extensions.items()}
    return RequestRecord(
        request.id,
        request.method,
        request.scheme,
        request.host.rpartition("@")[2],
        split(request.path)[0],
        request.protocol,
        headers,
        request.source.address,
        request.source.principal,
        request.destination.address,
        request.destination.principal,
        extensions,
        len(request.body or b""),
        request.partial,
    )


def _identity(identity: Identity | None) -> IdentityRecord | None:
    if identity is None:
        return None
    expires = None if identity.expires_at is None else datetime.fromtimestamp(identity.expires_at, UTC)
    return IdentityRecord(identity.subject, identity.issuer, identity.kind, expires)


def timings_of(timings: Timings) -> TimingsRecord:
    return TimingsRecord(
        timings.admission / 1e3 or _NONE,
        timings.authentication / 1e3 or _NONE,
        timings.authorization / 1e3 or _NONE,
    )


def _answer(verdict: Allow | Deny | Failed) -> AnswerRecord | None:
    if isinstance(verdict, Failed):
        return None
    if isinstance(verdict, Deny):
        return AnswerRecord(
            status=verdict.status or 0,
            response_headers=_fields(verdict.headers),
            body_size=len((verdict.body or "").encode(errors="replace")),
            metadata=dict(verdict.metadata),
        )
    return AnswerRecord(
        request_headers=_fields(verdict.request_headers),
        request_headers_to_remove=verdict.request_headers_to_remove,
        response_headers=_fields(verdict.response_headers),
        query_parameters=_fields(verdict.query_parameters),
        query_parameters_to_remove=verdict.query_parameters_to_remove,
        metadata=dict(verdict.metadata),
    )


def _fields(pairs: Pairs) -> tuple[FieldRecord, ...]:
    return tuple(FieldRecord(name, header(name.lower(), value)) for name, value in pairs)


def _ascii(value: Any) -> bytes:
    import json  # noqa: PLC0415 - msgspec writes UTF-8 only; few lines need it

    return json.dumps(value, separators=(",", ":"), default=str).encode()


_ENCODER = msgspec.json.Encoder(enc_hook=plain)
_OUTCOMES: Mapping[type, Outcome] = {Allow: Outcome.ALLOW, Deny: Outcome.DENY, Failed: Outcome.ERROR}
