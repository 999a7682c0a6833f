"""May they?"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from ztag_extauthz.again import Again
from ztag_extauthz.component import Component
from ztag_extauthz.model import Context, Decision, Request, Verdict

if TYPE_CHECKING:
    from ztag_extauthz.authorization.engines.interface import PolicyEngine
    from ztag_extauthz.rego.values import Value


class Question(Struct, frozen=True):
    """What one policy is asked about a request."""

    name: str
    """The decision: `envoy/authz/result`."""
    policy: "PolicyEngine"
    document: "Value"
    """Its `input`."""


class Authorizer(Component, ABC):
    """Decides on a request whose sender is known. Every one has to allow."""

    @abstractmethod
    async def authorize(self, context: Context, deadline: float) -> Verdict:
        """Return the verdict; `deadline` is in seconds of `time.monotonic`.

        Raises a `CheckError` where no verdict can be found: undefined, failed, of the wrong type, too late.
        """

    def again(self, context: Context, verdict: Verdict) -> Again | None:  # noqa: ARG002 - for kinds that can
        """Return how to see that `verdict` is the answer for requests like this one; None where each is to be seen.

        Called right after `authorize` said so.
        """
        return None

    @property
    def learns(self) -> bool:
        """Whether it is to be told of decisions."""
        return type(self).learn is not Authorizer.learn

    def learn(self, request: Request, decision: Decision) -> None:
        """Take note of what was decided on any request, by whatever stage. Neither raises nor waits."""

    def ended(self, note: str, status: int) -> None:
        """Take note of how a request ended that this kind gave a note to (`Allow.notes`). Neither raises nor waits.

        `status` is 0 where nobody answered: it was cut off, or another kind denied it, which may be told twice.
        `note` came back from an Envoy; it may be of another version of the settings, or not ours at all.
        """

    def questions(self, context: Context) -> Iterator[Question]:  # noqa: ARG002 - most ask no policy
        """Yield what policies are asked about a request, for commands that explain. Raises `ParseError`."""
        yield from ()
