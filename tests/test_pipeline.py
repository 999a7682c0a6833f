import asyncio
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest
from msgspec.structs import replace

from tests.reporting.parts import REQUEST
from ztag_extauthz.admission.interface import Gate
from ztag_extauthz.authentication.interface import Authenticator
from ztag_extauthz.authorization.interface import Authorizer
from ztag_extauthz.errors import CheckError, DeadlineError, EvaluationError, OverloadedError, UnavailableError
from ztag_extauthz.model import (
    Allow,
    Context,
    Decision,
    Deny,
    Failed,
    Identity,
    Reason,
    Request,
    Stage,
    Verdict,
)
from ztag_extauthz.pipeline import Pipeline, decision_id
from ztag_extauthz.reporting.interface import Reporter

ALICE = Identity("alice", "https://issuer.example", "credential")
NO = Deny(Reason.POLICY, "no")
DEADLINE = 17.0


def say(answer: Any) -> Any:
    if isinstance(answer, BaseException):
        raise answer
    return answer(None) if callable(answer) else answer


class Trace:
    """What was asked, in order."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.contexts: list[Context] = []
        self.reports: list[tuple[Request, Decision]] = []


class OneGate(Gate):
    kind = "gate"

    def __init__(self, trace: Trace, answer: Any) -> None:
        self.trace, self.answer = trace, answer

    async def admit(self, request: Request, deadline: float) -> Deny | None:
        assert (request, deadline) == (REQUEST, DEADLINE)
        self.trace.asked.append("gate")
        verdict: Deny | None = say(self.answer)
        return verdict


class OneAuthenticator(Authenticator):
    kind = "credential"

    def __init__(self, trace: Trace, answer: Any) -> None:
        self.trace, self.answer = trace, answer

    async def authenticate(self, request: Request, deadline: float) -> Identity | Deny | None:
        assert (request, deadline) == (REQUEST, DEADLINE)
        self.trace.asked.append("authenticator")
        found: Identity | Deny | None = say(self.answer)
        return found

    def challenge(self) -> str:
        return 'Bearer realm="ztag"'


class Silent(OneAuthenticator):
    def challenge(self) -> None:  # type: ignore[override]
        return None


class OneAuthorizer(Authorizer):
    kind = "policy"

    def __init__(self, trace: Trace, answer: Any) -> None:
        self.trace, self.answer = trace, answer

    async def authorize(self, context: Context, deadline: float) -> Verdict:
        assert deadline == DEADLINE
        self.trace.asked.append("authorizer")
        self.trace.contexts.append(context)
        verdict: Verdict = say(self.answer)
        return verdict


class OneReporter(Reporter):
    kind = "reporter"

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def report(self, request: Request, decision: Decision) -> None:
        self.trace.asked.append("reporter")
        self.trace.reports.append((request, decision))


def decide(
    gates: Sequence[Any] = (None,), found: Sequence[Any] = (ALICE,), verdicts: Sequence[Any] = (Allow(),)
) -> tuple[Decision, Trace]:
    trace = Trace()
    pipeline = Pipeline(
        [OneGate(trace, answer) for answer in gates],
        [OneAuthenticator(trace, answer) for answer in found],
        [OneAuthorizer(trace, answer) for answer in verdicts],
        [OneReporter(trace), OneReporter(trace)],
        lambda: 1_800_000_000.5,
    )
    decision = asyncio.run(pipeline.decide(REQUEST, DEADLINE))
    assert trace.reports == []
    pipeline.report(REQUEST, decision)
    return decision, trace


def test_the_stages_come_in_their_order() -> None:
    decision, trace = decide(gates=(None, None), found=(None, ALICE, ALICE), verdicts=(Allow(), Allow()))
    assert trace.asked == [
        *["gate"] * 2,
        *["authenticator"] * 2,
        *["authorizer"] * 2,
        *["reporter"] * 2,
    ]
    assert decision.verdict == Allow(metadata={})
    assert (decision.stage, decision.decided_by) == (Stage.AUTHORIZATION, "policy")
    assert (decision.identity, decision.time) == (ALICE, 1_800_000_000.5)
    assert min(decision.timings.admission, decision.timings.authentication, decision.timings.authorization) > 0


def test_a_refusal_at_the_gate_is_the_end_of_the_way() -> None:
    decision, trace = decide(gates=(NO, None))
    assert trace.asked == ["gate", "reporter", "reporter"]
    assert (decision.verdict, decision.stage, decision.decided_by) == (NO, Stage.ADMISSION, "gate")
    assert decision.identity is None
    assert (decision.timings.authentication, decision.timings.authorization) == (0, 0)


def test_a_bad_credential_is_the_end_of_the_way() -> None:
    refusal = Deny(Reason.INVALID_CREDENTIALS, "expired")
    decision, trace = decide(found=(refusal, ALICE))
    assert trace.asked == ["gate", "authenticator", "reporter", "reporter"]
    assert (decision.verdict, decision.stage, decision.identity) == (refusal, Stage.AUTHENTICATION, None)


def test_s06_without_any_credential_it_is_a_refusal_that_says_what_would_do() -> None:
    trace = Trace()
    kinds = [OneAuthenticator(trace, None), Silent(trace, None), OneAuthenticator(trace, None)]
    decision = asyncio.run(Pipeline([], kinds, [OneAuthorizer(trace, Allow())], [], float).decide(REQUEST, DEADLINE))
    assert isinstance(decision.verdict, Deny)
    assert decision.verdict.reason is Reason.MISSING_CREDENTIALS
    assert decision.verdict.headers == (("www-authenticate", 'Bearer realm="ztag"'),) * 2
    assert "authorizer" not in trace.asked


def test_the_revisions_of_all_policies_are_told() -> None:
    decision, _ = decide(verdicts=(Allow(policy_revision="7"), Allow(), Allow(policy_revision="9")))
    assert decision.verdict == Allow(metadata={}, policy_revision="7,9")


def test_one_refusal_is_enough() -> None:
    decision, trace = decide(verdicts=(Allow(), NO, Allow()))
    assert trace.asked.count("authorizer") == 2
    assert (decision.verdict, decision.identity) == (NO, ALICE)


def test_what_one_authorizer_finds_out_the_next_may_read() -> None:
    decision, trace = decide(verdicts=(Allow(facts={"risk": 1}), Allow(), Allow(facts={"relations": [2]})))
    assert [dict(context.facts) for context in trace.contexts] == [{}, {"risk": 1}, {"risk": 1}]
    assert decision.facts == {"risk": 1, "relations": [2]}
    assert all(context.request is REQUEST and context.identity is ALICE for context in trace.contexts)


def test_facts_up_to_a_refusal_are_reported() -> None:
    decision, _ = decide(verdicts=(Allow(facts={"risk": 1}), NO))
    assert decision.facts == {"risk": 1}


def test_one_allow_is_passed_on_as_it_is() -> None:
    allow = Allow(request_headers=(("a", "b"),), facts={"risk": 1})
    assert decide(verdicts=(allow,))[0].verdict is allow


ALLOW = Allow((("a", "1"),), ("x",), (("r", "1"),), (("q", "1"),), ("p",), {"m": 1}, shadowed=NO, policy_revision="7")


@pytest.mark.parametrize("field", sorted({*Allow.__struct_fields__} - {"facts", "notes"}))
def test_whoever_alone_wishes_something_is_passed_on_as_it_is(field: str) -> None:
    """So that a value that is remembered is known again; no field is overlooked."""
    wish = Allow(**{field: getattr(ALLOW, field)})
    assert wish != Allow()
    silent = Allow(facts={"risk": 1})
    for verdicts in ((wish, silent, Allow()), (Allow(), silent, wish)):
        decision, _ = decide(verdicts=verdicts)
        assert decision.verdict is wish
        assert decision.facts == {"risk": 1}


def test_what_several_wish_is_joined_in_their_order() -> None:
    shadowed = Deny(Reason.POLICY, "would")
    first = Allow((("a", "1"),), ("x",), (("r", "1"),), (("q", "1"),), ("p",), {"m": 1, "n": 1})
    second = Allow((("a", "2"),), ("y",), (("r", "2"),), (("q", "2"),), ("o",), {"m": 2}, shadowed=shadowed)
    assert decide(verdicts=(first, second))[0].verdict == Allow(
        (("a", "1"), ("a", "2")),
        ("x", "y"),
        (("r", "1"), ("r", "2")),
        (("q", "1"), ("q", "2")),
        ("p", "o"),
        {"m": 2, "n": 1},
        shadowed=shadowed,
    )


ERRORS = [EvaluationError("x"), UnavailableError("x"), DeadlineError("x"), OverloadedError("x"), CheckError("x")]
PLACES: dict[Stage, Callable[[Any], tuple[Decision, Trace]]] = {
    Stage.ADMISSION: lambda answer: decide(gates=(answer,)),
    Stage.AUTHENTICATION: lambda answer: decide(found=(answer, ALICE)),
    Stage.AUTHORIZATION: lambda answer: decide(verdicts=(answer, Allow())),
}


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("error", ERRORS)
def test_never_2_what_could_not_be_found_out_is_neither_allowed_nor_denied(stage: Stage, error: CheckError) -> None:
    decision, trace = PLACES[stage](error)
    assert decision.verdict == Failed(error.reason, "x")
    assert decision.stage is stage
    assert trace.asked[-2:] == ["reporter", "reporter"]


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("error", [ValueError("s3cret"), KeyError("s3cret"), RecursionError("s3cret"), MemoryError()])
def test_s27_an_exception_never_reads_as_an_answer(stage: Stage, error: Exception) -> None:
    decision, trace = PLACES[stage](error)
    assert isinstance(decision.verdict, Failed)
    assert decision.verdict.reason is Reason.INTERNAL
    assert type(error).__name__ in decision.verdict.detail
    assert len(trace.reports) == 2


@pytest.mark.parametrize("stage", Stage)
def test_never_6_an_exceptions_words_are_not_repeated(stage: Stage) -> None:
    decision, _ = PLACES[stage](ValueError("s3cret"))
    assert "s3cret" not in repr(decision.verdict)


def test_a_request_that_was_given_up_is_no_decision() -> None:
    with pytest.raises(asyncio.CancelledError):
        decide(verdicts=(asyncio.CancelledError(),))


class Noting(Authorizer):
    """Notes each request, and hears how it ended."""

    kind = "noting"

    def __init__(self) -> None:
        self.heard: list[tuple[str, int]] = []

    async def authorize(self, context: Context, deadline: float) -> Verdict:  # noqa: ARG002
        return Allow(notes={self.kind: "a note"})

    def ended(self, note: str, status: int) -> None:
        self.heard.append((note, status))


@pytest.mark.parametrize(
    ("then", "heard"),
    [
        (Allow(), []),
        (NO, [("a note", 0)]),
        (UnavailableError("down"), [("a note", 0)]),
        (asyncio.CancelledError(), [("a note", 0)]),
    ],
    ids=["allowed", "denied", "failed", "given up"],
)
def test_who_noted_a_request_hears_that_it_goes_no_further(then: Any, heard: list[tuple[str, int]]) -> None:
    trace, noting = Trace(), Noting()
    pipeline = Pipeline([], [OneAuthenticator(trace, ALICE)], [noting, OneAuthorizer(trace, then)], [], float)
    with suppress(asyncio.CancelledError):
        pipeline.report(REQUEST, asyncio.run(pipeline.decide(REQUEST, DEADLINE)))
    assert noting.heard == heard


def test_never_4_the_way_of_one_request_leaves_nothing_for_the_next() -> None:
    trace = Trace()
    identities = iter([ALICE, replace(ALICE, subject="bob")])
    verdicts = iter([Allow(facts={"of": "alice"}), Allow()])
    pipeline = Pipeline(
        [],
        [OneAuthenticator(trace, lambda _: next(identities))],
        [OneAuthorizer(trace, lambda _: next(verdicts))],
        [OneReporter(trace)],
        float,
    )
    asyncio.run(pipeline.decide(REQUEST, DEADLINE))
    second = asyncio.run(pipeline.decide(REQUEST, DEADLINE))
    assert second.identity is not None
    assert second.identity.subject == "bob"
    assert (dict(second.facts), dict(trace.contexts[1].facts)) == ({}, {})


def test_never_2_a_pipeline_with_nobody_to_say_no_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="nobody to say no"):
        decide(found=())
    with pytest.raises(ValueError, match="nobody to say no"):
        decide(verdicts=())


def test_every_reporter_hears_of_every_decision() -> None:
    for kind in (decide(), decide(gates=(NO,)), decide(found=(None,)), decide(verdicts=(ValueError(),))):
        decision, trace = kind
        assert trace.reports == [(REQUEST, decision)] * 2


class Faulty(Reporter):
    kind = "faulty"

    def report(self, request: Request, decision: Decision) -> None:  # noqa: ARG002
        raise ValueError("s3cret")


def test_a_reporter_with_a_fault_stops_nobody_and_is_told_of_once(capsys: pytest.CaptureFixture[str]) -> None:
    trace = Trace()
    kinds = [OneAuthenticator(trace, ALICE)], [OneAuthorizer(trace, Allow())]
    pipeline = Pipeline([], *kinds, [Faulty(), OneReporter(trace)], float)
    decision = asyncio.run(pipeline.decide(REQUEST, DEADLINE))
    for _ in range(2):
        pipeline.report(REQUEST, decision)
    assert trace.reports == [(REQUEST, decision)] * 2
    assert capsys.readouterr().err == "ztag: faulty cannot take note of decisions: ValueError\n"


def test_decisions_have_ids_of_their_own() -> None:
    ids = {decision_id() for _ in range(1_000)}
    assert len(ids) == 1_000
    uuid4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
    assert all(uuid4.fullmatch(name) for name in ids)
