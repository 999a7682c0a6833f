"""Requests that come again: decided without being read.

1. fingerprint   of Envoy's message, without what differs each time (`envoy/fingerprint.py`)
2. check         every kind says whether its word still holds, then counts it and charges its limits (`again.py`)
3. answer        as it was encoded; only the decision's id is new
4. report        every reporter hears of it, as of any other

Nothing is found out here. A request takes its whole way when it is met for the first or the second time, when a kind
has to see each for itself, when a word no longer holds, and when anything goes wrong.
"""

from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter_ns
from typing import Final

from msgspec import Struct

from ztag_extauthz.again import Told
from ztag_extauthz.envoy import Encoder, decode
from ztag_extauthz.envoy.fingerprint import Fingerprint, Fingerprints
from ztag_extauthz.meter import Meter
from ztag_extauthz.model import EMPTY, Decision, Deny, Request, Stage, Timings
from ztag_extauthz.pipeline import Pipeline, Said, decision_id

_MET: Final = None
"""Known of a request that was met once."""
PLACE: Final = 2048
"""Bytes of a message that an entry may have; a larger one takes the place of several."""


class Recurrence(Struct, frozen=True):
    """A request that was allowed, and all that it takes to allow those like it."""

    first: Decision
    holds: Sequence[Sequence[Callable[[], bool]]]
    """Those of each stage."""
    counts: Sequence[tuple[Said, Callable[[], Deny | None]]]
    answer: Sequence[bytes]
    """The encoded CheckResponse, cut where the decision's id stands."""
    told: Sequence[Told | None]
    places: int
    """How many entries it stands for: what is kept grows with the message."""


class Recurring:
    """Remembers them, in two generations: when the younger is full, it becomes the older, whose place is taken."""

    def __init__(
        self, pipeline: Pipeline, encoder: Encoder, max_entries: int, clock: Callable[[], float], meter: Meter
    ) -> None:
        """Raise `OSError` where the compiled kernel cannot be kept; `clock` in Unix seconds."""
        self._pipeline, self._encoder = pipeline, encoder
        self._fingerprints = Fingerprints()
        self._half = max_entries // 2
        self._clock = clock
        self._young: dict[bytes, Recurrence | None] = {}
        self._old: dict[bytes, Recurrence | None] = {}
        self._taken = 0
        self._count = meter.add
        self._hit, self._miss = (meter.series("ztag_recurring", result) for result in ("hit", "miss"))

    def find(self, message: bytes) -> tuple[Fingerprint | None, Recurrence | None]:
        """Return what is known of requests like this one, and what to `learn` it by, where it was met before."""
        mark = self._fingerprints.of(message)
        if mark is None:
            return None, None
        digest = mark.digest
        known = self._young.get(digest)
        if known is not None:
            return mark, known
        was_met = digest in self._young or digest in self._old
        known = self._old.pop(digest, _MET)
        self._keep(digest, known)
        return (mark if was_met else None), known

    def decide(self, known: Recurrence) -> Decision | None:
        """Decide on a request like one that is known; None where that has to take its whole way. Never raises."""
        time, marks = self._clock(), [perf_counter_ns()]
        try:
            for stage in known.holds:
                for holds in stage:
                    if not holds():
                        return None
                marks.append(perf_counter_ns())
            for said, count in known.counts:
                refusal = count()
                if refusal is not None:
                    return self._refused(known.first, said, refusal, time, marks)
        except Exception:  # noqa: BLE001 - the whole way finds out what it was, and says so
            return None
        self._count(self._hit)
        first, timings = known.first, _timings(marks)
        return Decision(
            decision_id(), time, first.verdict, first.stage, first.decided_by, first.identity, first.facts, timings
        )

    def _refused(self, first: Decision, said: Said, refusal: Deny, time: float, marks: list[int]) -> Decision:
        self._count(self._hit)
        stage, identity, facts, timings = said.stage, first.identity, first.facts, _timings(marks)
        if stage is Stage.ADMISSION:
            identity, facts, timings = None, EMPTY, Timings(perf_counter_ns() - marks[0])
        return Decision(decision_id(), time, refusal, stage, said.kind, identity, facts, timings)

    def report(self, known: Recurrence, decision: Decision, mark: Fingerprint, message: bytes) -> None:
        """Tell the reporters of a decision on a request like one that is known. Never raises."""
        self._pipeline.report_again(known.told, decision, mark.id, partial(decode, message))

    def learn(self, mark: Fingerprint, size: int, request: Request, decision: Decision, said: Sequence[Said]) -> None:
        """Remember what was decided, where each kind says how to check its word. Never raises.

        `size`: bytes of the message.
        """
        self._count(self._miss)
        agains = [one.again for one in said]
        try:
            answer = None if None in agains else self._encoder.again(request, decision)
            if answer is None:
                return
            told = self._pipeline.told_again(request, decision)
        except Exception:  # noqa: BLE001 - what cannot be remembered takes its whole way
            return
        holds = [[one.again.holds for one in said if one.again and one.stage is stage] for stage in Stage]
        counts = [(one, one.again.count) for one in said if one.again and one.again.count]
        if mark.digest in self._young:
            self._taken -= _places(self._young.pop(mark.digest))
        self._keep(mark.digest, Recurrence(decision, holds, counts, answer, told, 1 + size // PLACE))

    def _keep(self, digest: bytes, known: Recurrence | None) -> None:
        places = _places(known)
        if self._taken + places > self._half:
            self._old, self._young, self._taken = self._young, {}, 0
        self._young[digest] = known
        self._taken += places


def _places(known: Recurrence | None) -> int:
    return 1 if known is None else known.places


def _timings(marks: list[int]) -> Timings:
    return Timings(marks[1] - marks[0], marks[2] - marks[1], perf_counter_ns() - marks[2])
