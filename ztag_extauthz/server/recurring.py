"""Requests that come again: decided without being read.

1. fingerprint   of Envoy's message, without what differs each time (`envoy/fingerprint.py`)
2. check         every kind says whether its word still holds, then counts it and charges its limits (`again.py`)
3. answer        as it was encoded; only the decision's id is new
4. report        every reporter hears of it, as of any other, but of no time that stages took

Nothing is found out here. A request takes its whole way when it is met for the first or the second time, when a kind
has to see each for itself, when a word no longer holds, and when anything goes wrong.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from ztag_extauthz.again import ALWAYS
from ztag_extauthz.envoy import Encoder, decode
from ztag_extauthz.envoy.fingerprint import Fingerprints
from ztag_extauthz.listeners import Listener
from ztag_extauthz.meter import Meter
from ztag_extauthz.model import EMPTY, Decision, Deny, Failed, Request, Stage, Timings
from ztag_extauthz.pipeline import Pipeline, Said, decision_id

MET: Final = 2
"""Requests that were met once are remembered for each that is known; a fingerprint alone takes little."""
TRIES: Final = 3
"""How often a request is met that cannot be remembered until it is let be; an answer that has just ended is made anew
and found on the node before a worker has it again."""
PLACE: Final = 2048
"""Bytes of a message and its answer that an entry may have; a larger one takes the place of several."""


class Recurrence(Struct, frozen=True):
    """A request that was decided on, and all that it takes to decide on those like it."""

    first: Decision
    holds: Sequence[Callable[[float], bool]]
    counts: Sequence[tuple[Said, Callable[[float], Deny | Mapping[str, object] | None]]]
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
        # A number for one that could not be remembered so many times.
        self._young: dict[bytes, Recurrence | int] = {}
        self._old: dict[bytes, Recurrence | int] = {}
        self._taken = 0
        self._met: set[bytes] = set()
        self._met_before: set[bytes] = set()
        self._count = meter.add
        self._hit, self._miss = (meter.series("ztag_recurring", result) for result in ("hit", "miss"))

    def find(self, message: bytes) -> tuple[bytes | None, Recurrence | None]:
        """Return the fingerprint to `learn` a request by, where it was met before, and what is known of it."""
        mark = self._fingerprints.of(message)
        if mark is None:
            return None, None
        known = self._young.get(mark)
        if known is None:
            known = self._old.pop(mark, None)
            if isinstance(known, Recurrence):
                self._keep(mark, known)
        if isinstance(known, Recurrence):
            return mark, known
        if known is not None:
            return (mark if known < TRIES else None), None
        return (mark if self._was_met(mark) else None), None

    def _was_met(self, mark: bytes) -> bool:
        """Tell whether a request was met before, and remember that it was."""
        if mark in self._met or mark in self._met_before:
            return True
        if len(self._met) >= MET * self._half:
            self._met_before, self._met = self._met, set()
        self._met.add(mark)
        return False

    def answer(self, known: Recurrence, message: bytes, deadline: float) -> bytes | Decision | None:
        """Answer a request like one that is known: the last that was looked for. Never raises.

        Returns the encoded CheckResponse; a decision that is still to be answered and told, where a limit refused it or
        it is too late; or None: it has to take its whole way.
        `deadline` is in seconds of `time.monotonic`.
        """
        now = self._clock()
        try:
            for holds in known.holds:
                if not holds(now):
                    return None
            facts: Mapping[str, object] = EMPTY
            for said, count in known.counts:
                found = count(now)
                if isinstance(found, Deny):
                    return _refused(known.first, now, found, said, facts)
                if found:
                    facts = {**facts, **found}
        except Exception:  # noqa: BLE001 - the whole way finds out what it was, and says so
            return None
        new_id = decision_id()
        if monotonic() > deadline:
            return _decision(known.first, new_id, now, facts)
        self._count(self._hit)
        new = new_id, now, self._fingerprints.name(message)
        self._pipeline.listeners.tell_again(known.told, new, partial(_read, message, known.first, new_id, now, facts))
        return new_id.encode().join(known.answer)

    def learn(self, mark: bytes, size: int, request: Request, decision: Decision, said: Sequence[Said]) -> None:
        """Remember what the last stage decided, where each kind says how to check its word. Never raises.

        `size` in bytes of the message.
        """
        self._count(self._miss)
        if decision.stage is not Stage.AUTHORIZATION or isinstance(decision.verdict, Failed):
            return
        found = None
        with suppress(Exception):  # what cannot be remembered takes its whole way
            found = self._recurrence(size, request, decision, said)
        before = self._young.get(mark, 0)
        self._keep(mark, found or (before + 1 if isinstance(before, int) else 1))

    def _recurrence(self, size: int, request: Request, decision: Decision, said: Sequence[Said]) -> Recurrence | None:
        words = [(one, one.again) for one in said if one.again is not None]
        answer = self._encoder.again(request, decision) if len(words) == len(said) else None
        if answer is None:
            return None
        allowed = [again for one, again in words if one.stage is Stage.AUTHORIZATION]
        told = self._pipeline.listeners.again(request, decision, allowed)
        holds = [again.holds for _, again in words if again.holds is not ALWAYS.holds]
        counts = [(one, again.count) for one, again in words if again.count is not None]
        body = len(decision.verdict.body or "") if isinstance(decision.verdict, Deny) else 0
        size += sum(map(len, answer)) + body
        return Recurrence(decision, holds, counts, answer, told, 1 + size // PLACE)

    def _keep(self, mark: bytes, known: Recurrence | int) -> None:
        if mark in self._young:
            self._taken -= _places(self._young.pop(mark))
        places = _places(known)
        if places > self._half:
            return
        if self._taken + places > self._half:
            self._old, self._young, self._taken = self._young, {}, 0
        self._young[mark] = known
        self._taken += places


def _places(known: Recurrence | int) -> int:
    return known.places if isinstance(known, Recurrence) else 1


def _refused(first: Decision, now: float, refusal: Deny, said: Said, facts: Mapping[str, object]) -> Decision:
    identity = None if said.stage is Stage.ADMISSION else first.identity
    return Decision(decision_id(), now, refusal, said.stage, said.kind, identity, facts, Timings())


def _read(
    message: bytes, first: Decision, name: str, now: float, facts: Mapping[str, object]
) -> tuple[Request, Decision]:
    return decode(message), _decision(first, name, now, facts)


def _decision(first: Decision, name: str, now: float, facts: Mapping[str, object]) -> Decision:
    return replace(first, id=name, time=now, facts={**first.facts, **facts}, timings=Timings())
