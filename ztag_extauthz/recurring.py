"""Requests that come again: decided without being read.

1. fingerprint   of the message, without what differs each time (`envoy/fingerprint.py`)
2. check         every stage says whether its word still holds, and charges its limits (`again.py`)
3. answer        encoded before; only the decision's id is new
4. report        every reporter hears of it, as of any other

Nothing is decided here. A request takes its whole way when it is met for the first two times, when any stage has to see
each for itself, when one no longer holds, and when anything at all goes wrong.
"""

from collections.abc import Callable, Sequence
from time import perf_counter_ns
from typing import Final

from msgspec import Struct

from ztag_extauthz.again import Again
from ztag_extauthz.envoy.fingerprint import Fingerprint, Fingerprints
from ztag_extauthz.meter import Meter
from ztag_extauthz.model import Allow, Decision, Deny, Identity, Stage, Timings
from ztag_extauthz.pipeline import Pipeline, Told, decision_id

_STAGES: Final = tuple(Stage)


class Recurrence(Struct, frozen=True):
    """A request that was allowed, and all that it takes to allow the next one like it."""

    first: Decision
    holds: tuple[tuple[Callable[[], bool], ...], ...]
    """One tuple a stage."""
    charges: tuple[tuple[Stage, str, Callable[[], Deny | None]], ...]
    """Those of the second, each with the stage and the kind."""
    parts: list[bytes]
    """The encoded answer, without the decision's ids."""
    told: Sequence[Told]


class Recurring:
    """Remembers them. Of two generations the older is dropped when the younger is full."""

    def __init__(self, pipeline: Pipeline, max_entries: int, clock: Callable[[], float], meter: Meter) -> None:
        """Raise `OSError` where the kernel cannot be kept; `clock` in Unix seconds."""
        self._pipeline = pipeline
        self._fingerprints = Fingerprints()
        self._half = max_entries // 2
        self._clock = clock
        self._young: dict[bytes, Recurrence | None] = {}
        self._old: dict[bytes, Recurrence | None] = {}
        self._meter = meter
        self._hit, self._miss = (meter.series("ztag_recurring", result) for result in ("hit", "miss"))

    def find(self, message: bytes) -> tuple[Fingerprint | None, Recurrence | None]:
        """Return what is known of requests like this one; a fingerprint without more is worth learning about."""
        one = self._fingerprints.of(message)
        if one is None:
            return None, None
        digest = one.digest
        known = self._young.get(digest)
        if known is not None:
            return one, known
        return self._met(one)

    def _met(self, one: Fingerprint) -> tuple[Fingerprint | None, Recurrence | None]:
        """Note that a request was met, and tell whether it was before."""
        digest = one.digest
        again = digest in self._young or digest in self._old
        known = self._old.pop(digest, None)
        self._keep(digest, known)
        self._meter.add(self._miss, 0.0 if known else 1.0)
        return (one if again else None), known

    def _keep(self, digest: bytes, known: Recurrence | None) -> None:
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[digest] = known

    def learn(
        self, digest: bytes, decision: Decision, said: Sequence[tuple[Stage, str, Again | None]], parts: list[bytes]
    ) -> None:
        """Remember what was said of a request; nothing where a stage has to see each."""

    def decide(self, known: Recurrence) -> Decision | None:
        """Return the decision on a request like one that is known; None where it has to take its whole way."""
