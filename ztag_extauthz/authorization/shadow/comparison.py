"""A candidate beside the policy in force: asked the same, off the request's path, and never heard by the caller.

1. note      the policy in force has answered: that is kept, for a sample of the requests
2. compare   once the decision is told, a thread asks the candidate, which runs in a process of its own
3. count     what the candidate would have answered differently is counted, and told with the decision's id

The thread takes a fiftieth of this process's time at most, and the candidate none of it, however slow it is.
"""

import logging
from collections.abc import Coroutine, Sequence
from random import random
from threading import Lock
from time import monotonic, thread_time
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias, TypeVar

from msgspec import Struct
from msgspec.structs import replace
from pydantic import Field

from ztag_extauthz.authorization.interface import Authorizer
from ztag_extauthz.background import Background, weight
from ztag_extauthz.component import Resources
from ztag_extauthz.errors import CheckError, PolicyError
from ztag_extauthz.model import Allow, Context, Decision, Deny, Failed, Reason, Request
from ztag_extauthz.section import Section

if TYPE_CHECKING:
    from ztag_extauthz.authorization.rego import RegoSettings
    from ztag_extauthz.authorization.shadow.process import Elsewhere

T = TypeVar("T")

_COUNTING = Lock()
"""The threads of several shadows count in one series."""

LOG = logging.getLogger("ztag.shadow")

Answer: TypeAlias = Allow | Deny | Failed
Difference: TypeAlias = Literal["same", "would_deny", "would_allow", "other_answer", "failed"]

SECONDS = 1.0
"""The candidate's answer has to be there after so long."""
SHARE = 50
"""The thread rests so many times as long as it worked: nobody's latency shows that it is there."""
LONGEST_REST = 2.0
"""Seconds; also before a candidate whose process ended is started again."""
QUIET = 1.0
"""Seconds between two lines about one kind of difference; the lines between are counted."""


class ShadowSettings(Section):
    """Ask other policies, too, off the request's path: `ztag_shadow_total` counts where their answers differ."""

    file_fields: ClassVar[tuple[str, ...]] = ("policies",)

    policies: tuple[str, ...] = Field(min_length=1)
    """The candidate: files, folders or bundles, as `policies` of the policy in force."""
    decision: str | None = None
    """The rule to ask for; left out, that of the policy in force."""
    sample: float = Field(default=1.0, gt=0, le=1)
    """The share of requests that it is asked about, as far as there is time: what comes too fast is `skipped`."""
    max_waiting: int = Field(default=1000, ge=1)
    """Requests that may wait to be compared."""

    def build(self, settings: "RegoSettings", resources: Resources) -> "Shadow":
        """Load the candidate; raises `PolicyError`."""
        from ztag_extauthz.authorization.shadow.process import Elsewhere  # noqa: PLC0415 - heavy

        plain = {"engine": "embedded", "opa": None, "bundle": None, "cache": None, "dry_run": False, "shadow": None}
        changes = {"policies": self.policies, "decision": self.decision or settings.decision}
        alone = settings.model_copy(update=plain | changes)
        try:
            candidate = alone.build(resources)
        except PolicyError as error:
            raise PolicyError(error.of("shadow")) from error
        engine = Elsewhere(candidate.policy, alone, resources.folder)
        candidate.put_in_force(engine, resources.clock())
        return Shadow(self, alone.decision, candidate, engine, resources)


class Asked(Struct, frozen=True):
    """What the policy in force was asked, and what it said."""

    context: Context
    answer: Answer
    id: str = ""
    """The decision's."""


class Shadow:
    """Keeps what is to be compared, and compares it."""

    def __init__(
        self, settings: ShadowSettings, name: str, candidate: Authorizer, engine: "Elsewhere", resources: Resources
    ) -> None:
        self._sample = settings.sample
        self._most = settings.max_waiting
        self._name = name
        self._candidate = candidate
        self._engine = engine
        meter = resources.meter
        self._add = meter.add
        self._counts = {kind: meter.series("ztag_shadow", kind) for kind in _KINDS}
        skipped = meter.series("ztag_shadow", "skipped")
        self._waiting = Background[Asked](
            "comparisons",
            self._compare,
            lambda items: meter.add(skipped, items),
            max_waiting=settings.max_waiting,
            batch=1,
        )
        self._asked: dict[int, Asked] = {}
        self._told_at: dict[Difference, float] = {}
        self._left_out: dict[Difference, int] = {}

    def start(self) -> None:
        self._waiting.start()

    async def close(self) -> None:
        """End the thread, and the candidate's process; what waits is not compared."""
        self._waiting.clear()
        self._engine.end()
        if await self._waiting.close():
            self._engine.reap()

    def note(self, context: Context, answer: Answer) -> None:
        """Keep what the policy in force said, if the request is of the sample."""
        if random() < self._sample:  # noqa: S311 - which one, is no secret
            if len(self._asked) >= self._most:
                self._asked.clear()  # those whose decision was never told: the caller had gone
            # The entry holds the request, so that its `id` is nobody else's.
            self._asked[id(context.request)] = Asked(context, answer)

    def decided(self, request: Request, decision: Decision) -> None:
        """Compare, now that the request is answered."""
        asked = self._asked.pop(id(request), None)
        if asked is not None:
            self._waiting.put(replace(asked, id=decision.id), weight(request))

    def _compare(self, batch: Sequence[Asked]) -> None:
        closing = self._waiting.closing
        for asked in batch:
            if closing.is_set():
                return
            began = thread_time()
            answer = self._ask(asked.context)
            kind = difference(asked.answer, answer)
            with _COUNTING:
                self._add(self._counts[kind])
            if kind != "same":
                self._tell(kind, asked.id)
            lost = isinstance(answer, Failed) and answer.reason is Reason.UNAVAILABLE
            closing.wait(LONGEST_REST if lost else min((thread_time() - began) * SHARE, LONGEST_REST))

    def _ask(self, context: Context) -> Answer:
        try:
            return _at_once(self._candidate.authorize(context, monotonic() + SECONDS))
        except CheckError as error:
            return Failed(error.reason, str(error))

    def _tell(self, kind: Difference, id_: str) -> None:
        now = monotonic()
        if now - self._told_at.get(kind, -QUIET) < QUIET:
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return
        self._told_at[kind] = now
        left_out = self._left_out.pop(kind, 0)
        more = f"; {left_out} more before it are left out" if left_out else ""
        LOG.info("shadow of %s: %s (decision %s)%s", self._name, _WORDS[kind], id_, more)


def difference(answer: Answer, candidates: Answer) -> Difference:
    """Return how the candidate's answer differs from that in force; in a dry run, from what that would have been."""
    said = answer.shadowed or answer if isinstance(answer, Allow) else answer
    if type(said) is not type(candidates):
        return _BY_TYPE[type(candidates)]
    if isinstance(said, Failed):
        return "same"
    return "same" if _bare(said) == _bare(candidates) else "other_answer"


def _bare(answer: Answer) -> Answer:
    return replace(answer, policy_revision="")


def _at_once(answer: Coroutine[None, None, T]) -> T:
    """Run what never waits for an event loop."""
    try:
        answer.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise RuntimeError("the candidate waits")


_KINDS: tuple[Difference, ...] = ("same", "would_deny", "would_allow", "other_answer", "failed")
_BY_TYPE: dict[type, Difference] = {Allow: "would_allow", Deny: "would_deny", Failed: "failed"}
_WORDS: dict[Difference, str] = {
    "would_deny": "would deny",
    "would_allow": "would allow",
    "other_answer": "would answer with other headers, status, body or metadata",
    "failed": "would fail",
}
