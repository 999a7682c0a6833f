"""One decision made in this process, with all that is known of its way."""

import asyncio
import json
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from time import monotonic
from typing import Any

import msgspec
from msgspec import Struct

from ztag_extauthz.authorization.input.parse_error import ParseError
from ztag_extauthz.authorization.interface import Authorizer, Question
from ztag_extauthz.component import Resources
from ztag_extauthz.envoy import decode
from ztag_extauthz.envoy.protojson import check_request, check_response
from ztag_extauthz.model import Allow, Context, Decision, Reason, Stage, Verdict
from ztag_extauthz.rego.documents import dumps
from ztag_extauthz.rego.frozen import InputPath
from ztag_extauthz.rego.reads import Reads
from ztag_extauthz.rego.runtime.evaluation import lookup
from ztag_extauthz.rego.values import UNDEFINED, Value
from ztag_extauthz.reporting.log import not_owned, warning
from ztag_extauthz.reporting.masking import MASK, NO_NAMES, is_secret
from ztag_extauthz.reporting.record import full, outcome_of, to_json
from ztag_extauthz.server.core import rpc_error
from ztag_extauthz.settings import Settings
from ztag_extauthz.wiring import build


class Row(Struct, frozen=True):
    """What one stage said."""

    stage: str
    verdict: str
    """`pass`, `allow`, `deny`, `error`, or `not reached`."""
    decided_by: str
    microseconds: float


class Witness(Authorizer):
    """Notes what an authorizer is asked about."""

    def __init__(self, authorizer: Authorizer) -> None:
        self.kind = authorizer.kind  # type: ignore[misc]  # it stands for any kind
        self.authorizer = authorizer
        self.context: Context | None = None

    async def authorize(self, context: Context, deadline: float) -> Verdict:
        self.context = context
        return await self.authorizer.authorize(context, deadline)

    def asked(self) -> Sequence[Question]:
        """Return what the authorizer's policies were asked."""
        if self.context is None:
            return ()
        try:
            return tuple(self.authorizer.questions(self.context))
        except ParseError:
            return ()


class PolicyView(Struct, frozen=True):
    """What one policy looked at, and which rules it tried."""

    decision: str
    reads: dict[str, Any]
    """The parts of the input that the decision can depend on, and their values in this request; secrets are masked."""
    explanation: tuple[str, ...]
    """A line for each rule that was tried and each step that failed; with values only if they are asked for."""


class Trace(Struct, frozen=True):
    """A decision, its way, and what Envoy would be told."""

    outcome: str
    summary: str
    stages: tuple[Row, ...]
    decision: dict[str, Any]
    """The record, `proto/ztag/v1/decision.proto`."""
    envoy: dict[str, Any]
    """The CheckResponse, or `{"grpcStatus": …, "message": …}`."""
    policies: tuple["PolicyView", ...]
    """One for each policy that was asked."""
    warnings: tuple[str, ...]
    policy_input: dict[str, Any] | None
    """What the last policy that was asked saw."""

    def as_json(self, *, with_input: bool) -> dict[str, Any]:
        document: dict[str, Any] = msgspec.to_builtins(self)
        policy_input = document.pop("policy_input")
        return document | ({"input": policy_input} if with_input else {})


class _Inquiry(Struct, frozen=True):
    """What is asked about a CheckRequest."""

    message: bytes
    timeout: float
    """Seconds for the decision, and again for each policy's explanation."""
    with_values: bool


def trace(settings: Settings, resources: Resources, text: str, timeout: float, *, with_values: bool = False) -> Trace:
    """Decide on a CheckRequest in JSON. Raises `SettingsError`, `PolicyError`, `MessageError`.

    Reporters are left out: this is a question, not a request that happened.
    """
    inquiry = _Inquiry(check_request(text), timeout, with_values)
    return asyncio.run(_trace(settings.model_copy(update={"reporting": ()}), resources, inquiry))


async def _trace(settings: Settings, resources: Resources, inquiry: _Inquiry) -> Trace:
    gateway = build(settings, resources)
    witnesses = [Witness(authorizer) for authorizer in gateway.pipeline.authorizers]
    gateway.pipeline.authorizers = witnesses
    await gateway.start()
    try:
        request = decode(inquiry.message)
        deadline = monotonic() + inquiry.timeout
        decided = await gateway.pipeline.decide(request, deadline)
        decision, answer = gateway.core.settle(request, decided, deadline)
        asked = [each for witness in witnesses for each in witness.asked()]
        hidden = gateway.credentials.headers
        views = tuple(view(each, inquiry.timeout, hidden, with_values=inquiry.with_values) for each in asked)
    finally:
        await gateway.close()
    return Trace(
        outcome=outcome_of(decision.verdict),
        summary=_summary(decision),
        stages=tuple(_rows(decision)),
        decision=json.loads(to_json(full(request, decision))),
        envoy=_told(decision, answer),
        policies=views,
        warnings=tuple(map(warning, _not_owned(decision, settings))),
        policy_input=json.loads(dumps(asked[-1].document)) if asked else None,
    )


def _summary(decision: Decision) -> str:
    """Return in a line who decided what, and why."""
    verdict = decision.verdict
    who = decision.identity.subject if decision.identity else "nobody known"
    if isinstance(verdict, Allow):
        dry = f", in a dry run: {verdict.shadowed.reason} would have refused" if verdict.shadowed else ""
        return f"{who}: allowed by {decision.decided_by}{dry}"
    if verdict.reason is Reason.POLICY and not verdict.detail:
        return f"{who}: denied by {decision.decided_by}"
    return f"{who}: {verdict.reason} by {decision.decided_by} ({verdict.detail or 'no detail'})"


def _not_owned(decision: Decision, settings: Settings) -> list[str]:
    verdict = decision.verdict
    return not_owned(verdict.request_headers, settings.response.owned_headers) if isinstance(verdict, Allow) else []


def _rows(decision: Decision) -> list[Row]:
    stages = list(Stage)
    last = stages.index(decision.stage)
    rows = []
    for index, stage in enumerate(stages):
        microseconds = getattr(decision.timings, stage) / 1000
        if index < last:
            rows.append(Row(stage, "pass", _passed_by(decision, stage), microseconds))
        elif index == last:
            rows.append(Row(stage, outcome_of(decision.verdict), decision.decided_by, microseconds))
        else:
            rows.append(Row(stage, "not reached", "", 0.0))
    return rows


def _passed_by(decision: Decision, stage: Stage) -> str:
    return decision.identity.kind if stage is Stage.AUTHENTICATION and decision.identity else ""


def _told(decision: Decision, answer: bytes | None) -> dict[str, Any]:
    if answer is not None:
        return check_response(answer)
    error = rpc_error(decision)
    return {"grpcStatus": error.status.name, "message": error.message}


def view(asked: Question, timeout: float, credentials: AbstractSet[str] = NO_NAMES, *, with_values: bool) -> PolicyView:
    """Explain what a policy answers, within `timeout` seconds; headers with credentials are masked."""
    explanation = asked.policy.explain(asked.document, monotonic() + timeout)
    shown = explanation if with_values else explanation.without_values()
    reads = _reads(asked.policy.reads(), asked.document, credentials)
    return PolicyView(asked.name, reads, tuple(str(shown).splitlines()))


def _reads(reads: Reads, document: Value, credentials: AbstractSet[str]) -> dict[str, Any]:
    found = {}
    for path in sorted(reads.deep | reads.exists, key=str):
        name = ".".join(("input", *map(str, path)))
        value = lookup(document, path)
        if value is not UNDEFINED:
            found[name] = MASK if _may_hold_a_secret(path, credentials) else json.loads(dumps(value))
        else:
            found[name] = "(undefined)"
    return found


def _may_hold_a_secret(path: InputPath, credentials: AbstractSet[str]) -> bool:
    """Headers other than those that certainly hold none, and whatever contains them."""
    headers = ("attributes", "request", "http", "headers")
    name = path[len(headers)] if len(path) > len(headers) else ""
    return path[: len(headers)] == headers[: len(path)] and (not name or is_secret(str(name), credentials))
