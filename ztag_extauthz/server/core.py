"""Bytes in, bytes out: what both engines serve."""

from collections.abc import Mapping
from enum import IntEnum
from time import monotonic
from types import MappingProxyType

from msgspec.structs import replace

from ztag_extauthz.envoy import Encoder, decode, endings
from ztag_extauthz.errors import MessageError, ZtagError
from ztag_extauthz.meter import Meter
from ztag_extauthz.model import Decision, Failed, Reason, Request
from ztag_extauthz.pipeline import Pipeline, Said, failed
from ztag_extauthz.server.recurring import Recurrence, Recurring
from ztag_extauthz.settings import ServerSettings


class Status(IntEnum):
    """The gRPC status codes that ztag answers with."""

    OK = 0
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14


class RpcError(ZtagError):
    """The call ends with this status instead of an answer."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


# UNKNOWN is what opa-envoy-plugin gives for a policy without a usable answer. A reason that is not listed is INTERNAL.
STATUSES: Mapping[Reason, Status] = MappingProxyType(
    {
        Reason.EVALUATION: Status.UNKNOWN,
        Reason.UNAVAILABLE: Status.UNAVAILABLE,
        Reason.OVERLOADED: Status.UNAVAILABLE,
        Reason.DEADLINE: Status.DEADLINE_EXCEEDED,
    }
)


class Core:
    """Answers one `envoy.service.auth.v3.Authorization/Check` after the other."""

    def __init__(
        self,
        pipeline: Pipeline,
        encoder: Encoder,
        settings: ServerSettings,
        meter: Meter,
        recurring: Recurring | None = None,
    ) -> None:
        """Without `recurring` every request takes its whole way."""
        self._pipeline = pipeline
        self._encoder = encoder
        self._recurring = recurring
        self._max_in_flight = settings.max_in_flight
        self._meter = meter
        self._in_flight = 0
        self._in_flight_series = meter.series("ztag_in_flight")
        self._shed_series = meter.series("ztag_shed")
        self._seconds_series = meter.series("ztag_check_seconds")

    @property
    def in_flight(self) -> int:
        """Requests being answered."""
        return self._in_flight

    async def check(self, message: bytes, deadline: float) -> bytes:
        """Return the encoded CheckResponse for an encoded CheckRequest.

        `deadline` is in seconds of `time.monotonic`. Raises `RpcError` where there is no answer or it comes too late.
        """
        started, recurring = monotonic(), self._recurring
        if started >= deadline:
            raise self._shed(Status.DEADLINE_EXCEEDED, "the deadline was over before the request was looked at")
        if self._in_flight >= self._max_in_flight:
            raise self._shed(Status.UNAVAILABLE, "too many requests")
        try:
            mark = None
            if recurring is not None:
                mark, known = recurring.find(message)
                if known is not None and (answer := self._check_again(recurring, known, message, deadline)):
                    return answer
            return await self._check(message, deadline, mark)
        finally:
            self._meter.observe(self._seconds_series, monotonic() - started)

    async def _check(self, message: bytes, deadline: float, mark: bytes | None) -> bytes:
        """Take a request its whole way, and learn from one that has a `mark`."""
        self._in_flight += 1
        self._meter.add(self._in_flight_series)
        said: list[Said] | None = None if mark is None else []
        try:
            request = decode(message)
            decision, answer = self._told(request, await self._pipeline.decide(request, deadline, said), deadline)
        except MessageError as error:
            raise RpcError(Status.INVALID_ARGUMENT, str(error)) from error
        finally:
            self._in_flight -= 1
            self._meter.add(self._in_flight_series, -1.0)
        if self._recurring is not None and mark is not None and said:
            self._recurring.learn(mark, len(message), request, decision, said)
        return answer

    def _check_again(self, recurring: Recurring, known: Recurrence, message: bytes, deadline: float) -> bytes | None:
        """Answer a request like one that is known; None where it has to take its whole way."""
        answer = recurring.answer(known, message, deadline)
        return self._told(decode(message), answer, deadline)[1] if isinstance(answer, Decision) else answer

    def _told(self, request: Request, decision: Decision, deadline: float) -> tuple[Decision, bytes]:
        """Return what is really answered, and tell of it. Raises `RpcError` where there is no answer."""
        decision, answer = self.settle(request, decision, deadline)
        self._pipeline.report(request, decision)
        if answer is None:
            raise rpc_error(decision)
        return decision, answer

    def _shed(self, status: Status, message: str) -> RpcError:
        self._meter.add(self._shed_series)
        return RpcError(status, message)

    def ended(self, message: bytes) -> None:
        """Take note of what an encoded `StreamAccessLogsMessage` tells. Raises `RpcError`."""
        if not self._pipeline.listeners.await_ends:
            raise RpcError(Status.UNIMPLEMENTED, "nothing in the settings asks how requests end")
        try:
            for ended in endings(message):
                self._pipeline.listeners.end(ended)
        except MessageError as error:
            raise RpcError(Status.INVALID_ARGUMENT, str(error)) from error

    def settle(self, request: Request, decision: Decision, deadline: float) -> tuple[Decision, bytes | None]:
        """Return what is really answered: an answer that cannot be encoded, or comes too late, is a `Failed`.

        The bytes are the encoded CheckResponse; None stands for `rpc_error`.
        """
        decision, answer = self._encode(request, decision)
        if monotonic() <= deadline:
            return decision, answer
        return replace(decision, verdict=Failed(Reason.DEADLINE, "the deadline was over before the answer")), None

    def _encode(self, request: Request, decision: Decision) -> tuple[Decision, bytes | None]:
        could_not = isinstance(decision.verdict, Failed)
        if could_not and not self._encoder.answers_errors:
            return decision, None
        try:
            return decision, self._encoder.encode(request, decision)
        except Exception as error:  # noqa: BLE001 - whatever it was, it must not read as an answer
            decision = replace(decision, verdict=failed(error, "the answer"))
        return (decision, None) if could_not else self._encode(request, decision)


def rpc_error(decision: Decision) -> RpcError:
    """Name the decision, not the cause: the caller's proxy may show the message to anybody."""
    reason = decision.verdict.reason if isinstance(decision.verdict, Failed) else Reason.INTERNAL
    return RpcError(STATUSES.get(reason, Status.INTERNAL), f"{reason}, decision {decision.id}")
