"""What a Rego engine has to be able to do."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import suppress
from time import monotonic
from typing import Any, Final

from msgspec import Struct

from ztag_extauthz.component import Readiness
from ztag_extauthz.errors import UnavailableError
from ztag_extauthz.rego.explain import Explanation
from ztag_extauthz.rego.reads import UNKNOWN, Reads
from ztag_extauthz.rego.values import UNDEFINED, Value

ANSWER_MARGIN: Final = 0.02
"""Seconds that are left of a request's time for what comes after a question that was not answered."""


class Version(Struct, frozen=True):
    """Which policies and data decide."""

    revision: str = ""
    """For people: what a bundle's manifest says, else a digest; "" where it is not known."""
    digest: bytes = b""
    """16 bytes that stand for every file: with another digest answers may differ; b"" where it is not known."""


class PolicyEngine(ABC):
    """Policies with their data, and the one decision that they are asked for."""

    version: Version = Version()

    async def start(self) -> None:  # noqa: B027 - most have nothing to begin
        """Begin what runs in the background; see `Component.start`."""

    async def close(self) -> None:  # noqa: B027
        """End what `start` began."""

    def release(self) -> list[Any]:
        """Let go of what is large, and return what is to be freed. It is not to be asked any more."""
        return []

    def readiness(self) -> tuple[Readiness, ...]:
        """Return what has to be there before it can be asked."""
        return ()

    @abstractmethod
    async def ask(self, document: Value, deadline: float) -> Value:
        """Return the decision for an `input` document, `rego.UNDEFINED` where no rule gives it a value.

        Both are values of `rego/values.py`; `deadline` is in seconds of `time.monotonic`. Raises `EvaluationError`
        where the policy fails, `DeadlineError` where it is too late, `UnavailableError` where nobody answers.
        """

    def immediate(self) -> Callable[[Value, float], Value] | None:
        """Return what does as `ask` without waiting for anything; None where an answer has to be waited for."""
        return None

    @abstractmethod
    def reads(self) -> "Reads":
        """Return what of the input and the data the decision can depend on."""

    def annotations(self) -> Iterable[tuple[str, Value]]:
        """Return the annotations that concern the decision, each with the file and line of the rule."""
        return ()

    @abstractmethod
    def explain(self, document: Value, deadline: float) -> "Explanation":
        """Evaluate once more, until the deadline; return which rules were tried and where each of them failed."""


class Pending(PolicyEngine):
    """Stands for policies that are still to come, and asks them when they have."""

    def __init__(self, why: Callable[[], str]) -> None:
        """`why` tells why there are none yet."""
        self._why = why
        self._come = asyncio.Event()
        self._successor: PolicyEngine = self

    def give_way(self, successor: PolicyEngine) -> None:
        """Ask another engine from now on."""
        self._successor, self.version = successor, successor.version
        self._come.set()

    async def ask(self, document: Value, deadline: float) -> Value:
        """Wait for the policies, as long as the request can."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._come.wait(), deadline - ANSWER_MARGIN - monotonic())
        if self._successor is self:
            raise UnavailableError(f"there are no policies yet: {self._why()}")
        return await self._successor.ask(document, deadline)

    def readiness(self) -> tuple[Readiness, ...]:
        return ()

    def reads(self) -> "Reads":
        return UNKNOWN

    def explain(self, document: Value, deadline: float) -> "Explanation":  # noqa: ARG002
        return Explanation(UNDEFINED, None, ())


USUAL: Final = "envoy/authz/result"
"""The decision where none is named."""


def decision_path(decision: str) -> tuple[str, ...]:
    """Return the parts of `envoy/authz/result`, `envoy.authz.result` or `data.envoy.authz.result`."""
    parts = tuple(part for part in decision.replace("/", ".").split(".") if part)
    return parts[1:] if parts[:1] == ("data",) and "/" not in decision else parts
