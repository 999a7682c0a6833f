"""The deadline of an evaluation where values are walked through: compared, hashed, written.

A policy can make a value that holds another one twice, thirty times over: small to hold, but a thousand million
parts to whoever walks through it. Such walks know no state of an evaluation, so they pay here for each container.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import currentframe
from threading import local
from types import CodeType, FrameType
from typing import Any, Final, Protocol, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

CHECK_EVERY: Final = 2_000
"""So many elements are visited between two looks at the clock."""

CHARACTERS: Final = 256
"""So many characters count as an element."""


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
"""The clock by which this thread walks through values outside of evaluations."""
budget: Final = _Budget()
_evaluations: Final[dict[CodeType, str]] = {}


def spend(count: int) -> None:
    """Pay for walking through a container of so many elements; now and then this looks at the clock."""
    budget.left -= count + 1
    if budget.left < 0:
        overspent()


def spend_text(length: int) -> None:
    """Pay for going through a text of so many characters, some of which are as quick as one element of a container."""
    if length > CHARACTERS:
        spend(length // CHARACTERS)


def overspent() -> None:
    """Look at the clock: the budget is used up."""
    budget.left = CHECK_EVERY
    clock = _clock(currentframe())
    if clock is not None:
        clock.check()


def evaluation(clock: str) -> Callable[[F], F]:
    """Tell which of a function's variables is the clock of what happens within its calls."""

    def register(function: F) -> F:
        _evaluations[function.__code__] = clock
        return function

    return register


def _clock(frame: FrameType | None) -> Clock | None:
    """Find the clock of the innermost evaluation that this thread is in.

    It is looked for on the stack as that costs nothing before: an evaluation takes a microsecond, and a fifth of it
    would go into taking note of its clock, which hardly any of them needs.
    """
    while frame is not None:
        if frame.f_code in _evaluations:
            return frame.f_locals[_evaluations[frame.f_code]]  # type: ignore[no-any-return]
        frame = frame.f_back
    return underway.clock


@contextmanager
def bounded(clock: Clock) -> Iterator[None]:
    """Walk through what an evaluation has given by a clock."""
    before, underway.clock = underway.clock, clock
    try:
        yield
    finally:
        underway.clock = before
