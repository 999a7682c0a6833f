"""One decision made in this process, with all that is known of its way."""

import asyncio
import json
from collections.abc import Sequence
from time import monotonic
from typing import Any

import msgspec
from msgspec import Struct

from ztag_extauthz.authorization import opa_input
from ztag_extauthz.authorization.interface import Authorizer
from ztag_extauthz.authorization.rego import Rego
from ztag_extauthz.component import Resources
from ztag_extauthz.envoy import decode
from ztag_extauthz.envoy.protojson import check_request, check_response
from ztag_extauthz.model import Allow, Context, Decision, Request, Stage
from ztag_extauthz.rego.documents import dumps
from ztag_extauthz.rego.reads import InputPath, Reads
from ztag_extauthz.rego.runtime import lookup
from ztag_extauthz.rego.values import UNDEFINED, Value
from ztag_extauthz.reporting.record import full, is_secret, outcome_of, to_json
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


class PolicyView(Struct, frozen=True):
    """What one policy looked at, and which rules it tried."""

    reads: dict[str, Any]
    """The parts of the input that the decision can depend on, and their values in this request; secrets are masked."""
    explanation: tuple[str, ...]


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
    policy_input: dict[str, Any] | None

    def as_json(self, *, with_input: bool) -> dict[str, Any]:
        document: dict[str, Any] = msgspec.to_builtins(self)
        policy_input = document.pop("policy_input")
        return document | ({"input": policy_input} if with_input else {})


MASK = "(masked)"


def trace(settings: Settings, resources: Resources, text: str, timeout: float) -> Trace:
    """Decide on a CheckRequest in JSON. Raises `SettingsError`, `PolicyError`, `MessageError`.

    Reporters are left out: this is a question, not a request that happened.
    """
    message = check_request(text)
    return asyncio.run(_trace(settings.model_copy(update={"reporting": ()}), resources, message, timeout))


async def _trace(settings: Settings, resources: Resources, message: bytes, timeout: float) -> Trace:  # noqa: ASYNC109 - the deadline is what is asked about
    gateway = build(settings, resources)
    await gateway.start()
    try:
        request = decode(message)
        deadline = monotonic() + timeout
        decided = await gateway.pipeline.decide(request, deadline)
        decision, answer = gateway.core.settle(request, decided, deadline)
        document = _policy_input(request, decision)
        views = _views(gateway.pipeline.authorizers, document)
    finally:
        await gateway.close()
    return Trace(
        outcome=outcome_of(decision),
        summary=_summary(decision),
        stages=tuple(_rows(decision)),
        decision=json.loads(to_json(full(request, decision))),
        envoy=_told(decision, answer),
        policies=views,
        policy_input=None if document is None else json.loads(dumps(document)),
    )


def _summary(decision: Decision) -> str:
    """Return in a line who decided what, and why."""
    verdict = decision.verdict
    who = decision.identity.subject if decision.identity else "nobody known"
    if isinstance(verdict, Allow):
        dry = f", in a dry run: {verdict.shadowed.reason} would have refused" if verdict.shadowed else ""
        return f"{who}: allowed by {decision.decided_by}{dry}"
    return f"{who}: {verdict.reason} by {decision.decided_by} ({verdict.detail or 'no detail'})"


def _rows(decision: Decision) -> list[Row]:
    stages = list(Stage)
    last = stages.index(decision.stage)
    rows = []
    for index, stage in enumerate(stages):
        microseconds = getattr(decision.timings, stage) / 1000
        if index < last:
            rows.append(Row(stage, "pass", _passed_by(decision, stage), microseconds))
        elif index == last:
            rows.append(Row(stage, outcome_of(decision), decision.decided_by, microseconds))
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


def _views(authorizers: Sequence[Authorizer], document: Value) -> tuple[PolicyView, ...]:
    """Ask each policy what it looks at; nobody was asked where there is no document."""
    policies = [authorizer.policy for authorizer in authorizers if isinstance(authorizer, Rego)]
    if document is None:
        return ()
    return tuple(
        PolicyView(_reads(policy.reads(), document), tuple(str(policy.explain(document)).splitlines()))
        for policy in policies
    )


def _reads(reads: Reads, document: Value) -> dict[str, Any]:
    found = {}
    for path in sorted(reads.deep | reads.exists, key=str):
        name = ".".join(("input", *map(str, path)))
        value = lookup(document, path)
        if value is not UNDEFINED:
            found[name] = MASK if _may_hold_a_secret(path) else json.loads(dumps(value))
        else:
            found[name] = "(undefined)"
    return found


def _may_hold_a_secret(path: InputPath) -> bool:
    """Headers other than those that certainly hold none, and whatever contains them."""
    headers = ("attributes", "request", "http", "headers")
    name = path[len(headers)] if len(path) > len(headers) else ""
    return path[: len(headers)] == headers[: len(path)] and (not name or is_secret(str(name)))


def _policy_input(request: Request, decision: Decision) -> Value:
    """Return the document that a policy is asked with; None where nobody got that far, or it cannot be built."""
    if decision.identity is None:
        return None
    try:
        return opa_input.build(Context(request, decision.identity, decision.facts))
    except opa_input.ParseError:
        return None
