"""The deadline of an evaluation where values are walked through: compared, hashed, written.

A policy can make a value that holds another one twice, thirty times over: small to hold, but a thousand million
parts to whoever walks through it. Such walks know no state of an evaluation, so they pay here for each container.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import local
from typing import Final, Protocol

CHECK_EVERY: Final = 2_000
"""So many elements are visited between two looks at the clock."""


class Clock(Protocol):
    def check(self) -> None:
        """Raise `LimitError` if it is too late."""


class _Underway(local):
    clock: Clock | None = None


class _Budget:
    """Shared by all threads: whoever uses it up looks at its own clock, and lost updates only shift that moment."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = CHECK_EVERY


underway: Final = _Underway()
"""The clock of the evaluation that this thread is in."""
_budget: Final = _Budget()


def spend(count: int) -> None:
    """Pay for walking through a container of so many elements; now and then this looks at the clock."""
    _budget.left -= count + 1
    if _budget.left < 0:
        _budget.left = CHECK_EVERY
        if underway.clock is not None:
            underway.clock.check()


@contextmanager
def bounded(clock: Clock) -> Iterator[None]:
    """Walk through what an evaluation has given by a clock."""
    before, underway.clock = underway.clock, clock
    try:
        yield
    finally:
        underway.clock = before
