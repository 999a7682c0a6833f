"""What ends a call, and how it is counted; the stages are ten lines each."""

import asyncio
from collections.abc import Callable
from time import monotonic

import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse

from tests.server.process import request
from ztag_extauthz.authentication.interface import Authenticator
from ztag_extauthz.authorization.interface import Authorizer
from ztag_extauthz.envoy import Encoder
from ztag_extauthz.errors import CheckError, DeadlineError, EvaluationError, OverloadedError, UnavailableError
from ztag_extauthz.meter import CELLS, Meter
from ztag_extauthz.model import Allow, Context, Decision, Deny, Failed, Identity, Reason, Request, Stage, Verdict
from ztag_extauthz.pipeline import Pipeline
from ztag_extauthz.reporting.interface import Reporter
from ztag_extauthz.server.core import Core, RpcError, Status
from ztag_extauthz.settings import ResponseSettings, ServerSettings


class Say(Authorizer):
    """Does as it is told."""

    kind = "say"

    def __init__(self, act: Callable[[], Verdict]) -> None:
        self.act = act
        self.hold: asyncio.Event | None = None

    async def authorize(self, context: Context, deadline: float) -> Verdict:  # noqa: ARG002
        if self.hold:
            await self.hold.wait()
        return self.act()


class Somebody(Authenticator):
    kind = "somebody"

    async def authenticate(self, request: Request, deadline: float) -> Identity:  # noqa: ARG002
        return Identity("ann", "", "somebody")


class Heard(Reporter):
    """Keeps what it is told."""

    kind = "heard"

    def __init__(self) -> None:
        self.decisions: list[Decision] = []

    def report(self, request: Request, decision: Decision) -> None:  # noqa: ARG002
        self.decisions.append(decision)


class Bench:
    """A core around one authorizer, and its meter."""

    def __init__(self, act: Callable[[], Verdict] = Allow, *, error_response: bool = False) -> None:
        self.cells = [0.0] * CELLS
        self.meter = Meter(self.cells)
        self.say = Say(act)
        self.heard = Heard()
        pipeline = Pipeline((), (Somebody(),), (self.say,), (self.heard,), lambda: 0.0)
        encoder = Encoder(ResponseSettings(error_response=error_response))
        self.core = Core(pipeline, encoder, ServerSettings(max_in_flight=2), self.meter)

    async def check(self, message: bytes = request("/"), seconds: float = 10.0) -> CheckResponse:
        return CheckResponse.FromString(await self.core.check(message, monotonic() + seconds))

    def status(self, message: bytes = request("/"), seconds: float = 10.0) -> Status:
        with pytest.raises(RpcError) as caught:
            asyncio.run(self.check(message, seconds))
        return caught.value.status

    def counted(self, name: str) -> float:
        return self.cells[self.meter.series(name)]  # type: ignore[arg-type]


def fail(error: Exception) -> Callable[[], Verdict]:
    def act() -> Verdict:
        raise error

    return act


def test_an_answer() -> None:
    bench = Bench()
    assert asyncio.run(bench.check()).status.code == 0
    assert bench.core.in_flight == bench.counted("ztag_in_flight") == 0


def test_never_1_a_denial_is_never_code_0() -> None:
    answer = asyncio.run(Bench(lambda: Deny(Reason.POLICY)).check())
    assert (answer.status.code, answer.denied_response.status.code) == (7, 403)


def test_bytes_that_are_no_check_request() -> None:
    assert Bench().status(b"\xff\xff") is Status.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (EvaluationError("undefined"), Status.UNKNOWN),
        (UnavailableError("keys"), Status.UNAVAILABLE),
        (OverloadedError("full"), Status.UNAVAILABLE),
        (DeadlineError("late"), Status.DEADLINE_EXCEEDED),
        (CheckError("?"), Status.INTERNAL),
        (ZeroDivisionError("a secret"), Status.INTERNAL),
    ],
)
def test_s27_what_could_not_be_found_out_is_a_grpc_error(error: Exception, status: Status) -> None:
    assert Bench(fail(error)).status() is status


def test_s27_or_an_error_response_where_envoy_understands_that() -> None:
    answer = asyncio.run(Bench(fail(EvaluationError("undefined")), error_response=True).check())
    assert answer.status.code != 0
    assert answer.HasField("error_response")


def test_the_message_of_an_error_names_the_decision_and_keeps_the_cause() -> None:
    with pytest.raises(RpcError, match=r"^internal, decision [0-9a-f-]{36}$"):
        asyncio.run(Bench(fail(ZeroDivisionError("a secret"))).check())


def test_never_5_a_decision_after_the_deadline_is_no_answer() -> None:
    """The stage takes longer than there was; how long is not looked at."""
    deadline = 0.0

    def late() -> Verdict:
        while monotonic() <= deadline:
            pass
        return Allow()

    async def main() -> None:
        nonlocal deadline
        deadline = monotonic() + 0.5
        await bench.core.check(request("/"), deadline)

    bench = Bench(late, error_response=True)
    with pytest.raises(RpcError) as caught:
        asyncio.run(main())
    assert caught.value.status is Status.DEADLINE_EXCEEDED
    (told,) = bench.heard.decisions
    assert isinstance(told.verdict, Failed)
    assert (told.verdict.reason, told.stage) == (Reason.DEADLINE, Stage.AUTHORIZATION)
    assert told.id in caught.value.message


def unsayable() -> Verdict:
    return Allow(request_headers=(("x-a", "two\nlines"),))


def test_an_allow_that_cannot_be_sent_is_reported_as_the_error_that_envoy_gets() -> None:
    bench = Bench(unsayable)
    with pytest.raises(RpcError) as caught:
        asyncio.run(bench.check())
    (told,) = bench.heard.decisions
    assert isinstance(told.verdict, Failed)
    assert told.verdict.reason is Reason.EVALUATION
    assert caught.value.status is Status.UNKNOWN
    assert caught.value.message == f"evaluation, decision {told.id}"


def test_an_allow_that_cannot_be_sent_is_an_error_response_where_envoy_understands_that() -> None:
    bench = Bench(unsayable, error_response=True)
    answer = asyncio.run(bench.check())
    (told,) = bench.heard.decisions
    assert answer.error_response.status.code == 500
    assert answer.dynamic_metadata["decision_id"] == told.id
    assert isinstance(told.verdict, Failed)


def test_never_2_an_encoder_with_a_fault_is_an_internal_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> bytes:
        raise ValueError("s3cret")

    bench = Bench(error_response=True)
    monkeypatch.setattr(bench.core._encoder, "encode", broken)
    assert bench.status() is Status.INTERNAL
    assert [told.verdict for told in bench.heard.decisions] == [Failed(Reason.INTERNAL, "ValueError in the answer")]


def test_a_request_whose_deadline_is_over_is_shed_before_it_is_decided() -> None:
    decided: list[Verdict] = []

    def note() -> Verdict:
        decided.append(Allow())
        return decided[-1]

    bench = Bench(note)
    assert bench.status(seconds=-1.0) is Status.DEADLINE_EXCEEDED
    assert (decided, bench.counted("ztag_shed")) == ([], 1)


def test_requests_above_the_bound_are_shed_at_once_and_those_under_way_answered() -> None:
    async def main() -> None:
        bench = Bench()
        bench.say.hold = asyncio.Event()
        waiting = [asyncio.create_task(bench.check()) for _ in range(2)]
        await asyncio.sleep(0)
        assert bench.core.in_flight == bench.counted("ztag_in_flight") == 2
        with pytest.raises(RpcError) as caught:
            await bench.check()
        assert caught.value.status is Status.UNAVAILABLE
        assert bench.counted("ztag_shed") == 1
        bench.say.hold.set()
        assert [answer.status.code for answer in await asyncio.gather(*waiting)] == [0, 0]
        assert (await bench.check()).status.code == 0

    asyncio.run(main())


def test_a_caller_that_goes_away_gives_its_place_back() -> None:
    async def main() -> None:
        bench = Bench()
        bench.say.hold = asyncio.Event()
        gone = asyncio.create_task(bench.check())
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        assert bench.core.in_flight == bench.counted("ztag_in_flight") == 0

    asyncio.run(main())
