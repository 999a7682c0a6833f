"""What the cache asks of those who keep its answers elsewhere, and what the policy asks of the cache."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from ztag_extauthz.again import Again
from ztag_extauthz.component import Component
from ztag_extauthz.model import Context, Verdict

Key: TypeAlias = tuple[object, ...]
"""What an answer depends on: frozen values, each kind and each spelling of a value a different one."""

Ask: TypeAlias = Callable[[], Awaitable[Verdict]]
"""Asks the engine. Raises `CheckError`; then there is nothing to remember."""


class FarAnswers(Component, ABC):
    """Answers that other nodes can read. Neither method raises, and neither costs time while the store is down."""

    @property
    @abstractmethod
    def secret(self) -> bytes:
        """What keys the digests: the same on all replicas, at most 64 bytes, nobody else's."""

    @abstractmethod
    async def get(self, digest: bytes, deadline: float) -> bytes | None:
        """Return what was put under a digest (32 bytes), None where nothing is known, or nobody can say in time.

        `deadline` is in seconds of `time.monotonic`.
        """

    @abstractmethod
    def put(self, digest: bytes, value: bytes, lifetime: float) -> None:
        """Keep a value for so many seconds, in the background."""


class Forgotten(Component, ABC):
    """What answers were said to be forgotten, and when. Never raises."""

    latest: float = 0.0
    """Unix seconds of the latest of all; 0 while there was none. An answer that is younger needs no further look."""

    @abstractmethod
    def since(self, tags: tuple[str, ...]) -> float:
        """Return the latest time, in Unix seconds, among a request's tags (see `tags`); 0 if there is none.

        An answer whose making began at that time or before is no longer one.
        """


class Answers(ABC):
    """Remembers the answers to one decision."""

    @abstractmethod
    def recall(self, key: Key, context: Context) -> Verdict | None:
        """Return the answer if this node has it."""

    @abstractmethod
    async def find(self, key: Key, context: Context, ask: Ask, deadline: float) -> Verdict:
        """Return the answer from farther away, or ask for it and remember it.

        Raises what `ask` raises; `deadline` is in seconds of `time.monotonic`.
        """

    def again(self, key: Key, context: Context, verdict: Verdict) -> Again | None:  # noqa: ARG002
        """Return how to see that this verdict, which was given, is still the one; None where that is not known."""
        return None

    def forget(self) -> None:  # noqa: B027 - most have none
        """Let go of the worker's own memory: another revision is in force."""


class NoAnswers(Answers):
    """Remembers nothing."""

    def __init__(self, count: Callable[[], None] = lambda: None) -> None:
        """`count` is called with every question."""
        self._count = count

    def recall(self, key: Key, context: Context) -> Verdict | None:  # noqa: ARG002
        self._count()
        return None

    async def find(self, key: Key, context: Context, ask: Ask, deadline: float) -> Verdict:  # noqa: ARG002
        return await ask()
