"""What is fuzzed."""

from collections.abc import Callable, Sequence

from msgspec import Struct


class WrongError(Exception):
    """An answer that the rules forbid."""


class Target(Struct, frozen=True):
    """One reader of hostile bytes."""

    take: Callable[[bytes], object]
    """Reads an input; raises `WrongError` where its own judgement of the input is another."""
    corpus: Sequence[bytes]
    """Good inputs."""
    expected: tuple[type[Exception], ...] = ()
    """The errors that its documentation names."""
    words: Sequence[bytes] = ()
    """What makes inputs more interesting."""


def forbid(wrong: object, why: str) -> None:
    """Raise `WrongError` where something holds that must not."""
    if wrong:
        raise WrongError(why)
