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

from ztag_extauthz.again import ALWAYS
from ztag_extauthz.envoy import Encoder, decode
from ztag_extauthz.envoy.fingerprint import Fingerprints
from ztag_extauthz.listeners import Listener
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
    told: Sequence[Listener]
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

    def find(self, message: bytes) -> tuple[bytes | None, Recurrence | None]:
        """Return the fingerprint to `learn` a request by, where it was met before, and what is known of it."""
        mark = self._fingerprints.of(message)
        if mark is None:
            return None, None
        known = self._young.get(mark)
        if known is not None:
            return mark, known
        was_met = mark in self._young or mark in self._old
        known = self._old.pop(mark, _MET)
        self._keep(mark, known)
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
        one = known.first
        return Decision(
            decision_id(),
            time,
            one.verdict,
            one.stage,
            one.decided_by,
            one.identity,
            one.facts,
            Timings(marks[1] - marks[0], marks[2] - marks[1], perf_counter_ns() - marks[2]),
        )

    def _refused(self, first: Decision, said: Said, refusal: Deny, time: float, marks: Sequence[int]) -> Decision:
        self._count(self._hit)
        now = perf_counter_ns()
        if said.stage is Stage.ADMISSION:
            return Decision(decision_id(), time, refusal, said.stage, said.kind, None, EMPTY, Timings(now - marks[0]))
        timings = Timings(marks[1] - marks[0], marks[2] - marks[1], now - marks[2])
        return Decision(decision_id(), time, refusal, said.stage, said.kind, first.identity, EMPTY, timings)

    def report(self, known: Recurrence, decision: Decision, message: bytes) -> None:
        """Tell the reporters of a decision on the request that was last looked for. Never raises."""
        name = self._fingerprints.name(message)
        self._pipeline.listeners.tell_again(known.told, decision, name, partial(decode, message))

    def learn(self, mark: bytes, size: int, request: Request, decision: Decision, said: Sequence[Said]) -> None:
        """Remember what was decided, where each kind says how to check its word; `size` in bytes of the message.

        Never raises.
        """
        self._count(self._miss)
        words = [(one, one.again) for one in said if one.again is not None]
        try:
            answer = self._encoder.again(request, decision) if len(words) == len(said) else None
            if answer is None:
                return
            told = self._pipeline.listeners.again(request, decision)
        except Exception:  # noqa: BLE001 - what cannot be remembered takes its whole way
            return
        checked = [(one.stage, again.holds) for one, again in words if again.holds is not ALWAYS.holds]
        holds = [[check for its, check in checked if its is stage] for stage in Stage]
        counts = [(one, again.count) for one, again in words if again.count is not None]
        if mark in self._young:
            self._taken -= _places(self._young.pop(mark))
        self._keep(mark, Recurrence(decision, holds, counts, answer, told, 1 + size // PLACE))

    def _keep(self, mark: bytes, known: Recurrence | None) -> None:
        places = _places(known)
        if self._taken + places > self._half:
            self._old, self._young, self._taken = self._young, {}, 0
        self._young[mark] = known
        self._taken += places


def _places(known: Recurrence | None) -> int:
    return 1 if known is None else known.places
