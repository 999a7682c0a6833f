"""What was decided?"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Protocol

from ztag_extauthz.again import Told
from ztag_extauthz.component import Component
from ztag_extauthz.model import Context, Decision, Request


class Versioned(Protocol):
    """A policy, as far as reporters look at it."""

    @property
    def version(self) -> Any:
        """What has a `revision`."""


class Question(Protocol):
    """What a policy is asked about a request."""

    @property
    def name(self) -> str:
        """The decision: `envoy/authz/result`."""

    @property
    def policy(self) -> Versioned: ...

    @property
    def document(self) -> Any:
        """Its `input`, a value of Rego."""


class Source(Protocol):
    """An authorizer, as far as reporters look at it."""

    def questions(self, context: Context) -> Iterator[Question]:
        """Yield what policies are asked about a request."""


class Reporter(Component, ABC):
    """Is told of every decision, cached or not."""

    def attend(self, sources: Sequence[Source], credentials: AbstractSet[str]) -> None:
        """Know who decides, and which headers (in lower case) hold credentials, before the first decision is told."""

    @abstractmethod
    def report(self, request: Request, decision: Decision) -> None:
        """Take note. Neither raises nor waits: a decision does not depend on who hears of it."""

    def again(self, request: Request, decision: Decision) -> Told | None:  # noqa: ARG002 - for kinds that can
        """Return what takes note of the same decision on requests like this one; None where each is to be read."""
        return None
