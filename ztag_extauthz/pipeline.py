"""The way of one request.

1. admission        the request is readable, and may be asked about at all
2. authentication   the first kind whose credential is present answers
3. authorization    every authorizer has to allow; what one finds out, the next may read
4. reporting        every reporter is told what was answered
"""

from asyncio import CancelledError
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from operator import sub
from random import getrandbits
from time import perf_counter_ns
from typing import Any

from msgspec import Struct

from ztag_extauthz.admission.interface import Gate
from ztag_extauthz.again import Again
from ztag_extauthz.authentication.interface import Authenticator
from ztag_extauthz.authorization.interface import Authorizer
from ztag_extauthz.errors import CheckError
from ztag_extauthz.listeners import Listeners
from ztag_extauthz.model import (
    EMPTY,
    Allow,
    Context,
    Decision,
    Deny,
    Failed,
    Identity,
    Reason,
    Request,
    Stage,
    Timings,
    Verdict,
)
from ztag_extauthz.reporting.interface import Reporter

_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def nobody(_: Identity) -> None:
    """Stand for a register in which nobody is revoked."""


class Said(Struct, frozen=True):
    """That one kind spoke of a request, and how to check that it would say the same; None where it has to see each."""

    stage: Stage
    kind: str
    again: Again | None


class _Trail:
    """How far one request has come; turned into a `Decision` at the end of its way."""

    __slots__ = ("decided_by", "facts", "identity", "marks", "notes", "said", "stage")

    def __init__(self, said: list[Said] | None) -> None:
        self.said = said
        self.stage = Stage.ADMISSION
        self.decided_by = ""
        self.identity: Identity | None = None
        self.facts: Mapping[str, Any] = EMPTY
        self.notes: Mapping[str, str] = EMPTY
        self.marks = [perf_counter_ns()]

    def enter(self, stage: Stage) -> None:
        self.marks.append(perf_counter_ns())
        self.stage = stage

    def note(self, again: Callable[..., Again | None], *about: object) -> None:
        """Note what a kind said. An answer does not depend on whether it can be given again."""
        if self.said is not None:
            found = None
            with suppress(Exception):
                found = again(*about)
            self.said.append(Said(self.stage, self.decided_by, found))

    def timings(self) -> Timings:
        return Timings(*map(sub, [*self.marks[1:], perf_counter_ns()], self.marks))


class Pipeline:
    """The stages in their order; replaced as a whole on a reload, while requests under way keep theirs."""

    def __init__(  # noqa: PLR0913 - the stages, in their order
        self,
        gates: Sequence[Gate],
        authenticators: Sequence[Authenticator],
        authorizers: Sequence[Authorizer],
        reporters: Sequence[Reporter],
        clock: Callable[[], float],
        *,
        revoked: Callable[[Identity], Deny | None] = nobody,
    ) -> None:
        """`revoked` is asked about everybody, however well known; it may raise `UnavailableError`."""
        if not authenticators or not authorizers:
            raise ValueError("without an authenticator and an authorizer there is nobody to say no")
        self._gates = gates
        self._authenticators = authenticators
        self.authorizers = authorizers
        self.listeners = Listeners(reporters, authorizers)
        self._clock = clock
        self._revoked = revoked

    async def decide(self, request: Request, deadline: float, said: list[Said] | None = None) -> Decision:
        """Decide on a request; `report` tells of it, once it is certain that this is answered.

        `deadline` is in seconds of `time.monotonic`. Never raises: what could not be found out is a `Failed`. `said` is
        filled with what each kind said, in their order.
        """
        time = self._clock()
        trail = _Trail(said)
        verdict: Verdict | Failed
        try:
            verdict = await self._decide(request, deadline, trail)
        except CancelledError:  # nobody waits any more, so Envoy will tell of no end
            self.listeners.void(trail.notes)
            raise
        except Exception as error:  # noqa: BLE001 - whatever it was, it must not read as an answer
            verdict = failed(error, f"{trail.stage} {trail.decided_by}")
        return Decision(
            decision_id(),
            time,
            verdict,
            trail.stage,
            trail.decided_by,
            trail.identity,
            trail.facts,
            trail.timings(),
            trail.notes,
        )

    def report(self, request: Request, decision: Decision) -> None:
        """Tell the reporters, and the authorizers that learn, what was answered. Never raises."""
        self.listeners.tell(request, decision)

    async def _decide(self, request: Request, deadline: float, trail: _Trail) -> Verdict:
        for gate in self._gates:
            trail.decided_by = gate.kind
            refusal = await gate.admit(request, deadline)
            if refusal is not None:
                return refusal
            trail.note(gate.again, request)

        trail.enter(Stage.AUTHENTICATION)
        identity = await self._authenticate(request, deadline, trail)
        if isinstance(identity, Deny):
            return identity
        trail.identity = identity
        revoked = self._revoked(identity)
        if revoked is not None:
            return revoked
        if self._revoked is not nobody:
            trail.note(lambda: Again(lambda _: self._revoked(identity) is None))

        trail.enter(Stage.AUTHORIZATION)
        return await self._authorize(request, identity, deadline, trail)

    async def _authenticate(self, request: Request, deadline: float, trail: _Trail) -> Identity | Deny:
        for authenticator in self._authenticators:
            trail.decided_by = authenticator.kind
            found = await authenticator.authenticate(request, deadline)
            if not isinstance(found, Deny):
                trail.note(authenticator.again, request, found)
            if found is not None:
                return found
        challenges = (authenticator.challenge() for authenticator in self._authenticators)
        return Deny(
            Reason.MISSING_CREDENTIALS,
            "no credential of any accepted kind",
            headers=tuple(("www-authenticate", challenge) for challenge in challenges if challenge),
        )

    async def _authorize(self, request: Request, identity: Identity, deadline: float, trail: _Trail) -> Verdict:
        allows: list[Allow] = []
        for authorizer in self.authorizers:
            trail.decided_by = authorizer.kind
            context = Context(request, identity, trail.facts)
            verdict = await authorizer.authorize(context, deadline)
            trail.note(authorizer.again, context, verdict)
            if isinstance(verdict, Deny):
                return verdict
            if verdict.facts:
                trail.facts = {**trail.facts, **verdict.facts}
            if verdict.notes:
                trail.notes = {**trail.notes, **verdict.notes}
            allows.append(verdict)
        return allows[0] if len(allows) == 1 else _merge(allows)


def failed(error: Exception, place: str) -> Failed:
    """Return what an exception means; the words of those that are not ours may hold secrets, and are left out."""
    if isinstance(error, CheckError):
        return Failed(error.reason, str(error), error.policy_revision)
    return Failed(Reason.INTERNAL, f"{type(error).__name__} in {place}")


def _merge(allows: Sequence[Allow]) -> Allow:
    """Join what several authorizers wish to change, in their order.

    Where only one of them does, its own value is passed on: the encoder knows a value that comes again.
    """
    allows = [allow for allow in allows if _changes(allow)] or allows[:1]
    if len(allows) == 1:
        return allows[0]
    metadata: dict[str, Any] = {}
    for allow in allows:
        metadata.update(allow.metadata)
    return Allow(
        request_headers=tuple(pair for allow in allows for pair in allow.request_headers),
        request_headers_to_remove=tuple(name for allow in allows for name in allow.request_headers_to_remove),
        response_headers=tuple(pair for allow in allows for pair in allow.response_headers),
        query_parameters=tuple(pair for allow in allows for pair in allow.query_parameters),
        query_parameters_to_remove=tuple(name for allow in allows for name in allow.query_parameters_to_remove),
        metadata=metadata,
        shadowed=next((allow.shadowed for allow in allows if allow.shadowed), None),
        policy_revision=",".join(filter(None, (allow.policy_revision for allow in allows))),
    )


def _changes(allow: Allow) -> bool:
    """Tell whether an allow says more than yes and what was found out on the way."""
    return bool(
        allow.request_headers
        or allow.request_headers_to_remove
        or allow.response_headers
        or allow.query_parameters
        or allow.query_parameters_to_remove
        or allow.metadata
        or allow.shadowed
        or allow.policy_revision
    )


def decision_id() -> str:
    """Return a random UUID (RFC 9562 version 4); it names a decision and keeps no secret, so speed may decide."""
    digits = f"{getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:]}"
