"""May they ask at all? Gates stand before authentication, so that no cryptography is paid for what they refuse."""

from abc import ABC, abstractmethod

from ztag_extauthz.again import Again
from ztag_extauthz.component import Component
from ztag_extauthz.model import Deny, Request


class Gate(Component, ABC):
    """Looks at the bare request."""

    @abstractmethod
    async def admit(self, request: Request, deadline: float) -> Deny | None:
        """Return a refusal, or None to let the request go on; `deadline` is in seconds of `time.monotonic`."""

    def again(self, request: Request) -> Again | None:  # noqa: ARG002 - for gates that can
        """Return how to see that requests like this one, which was admitted, are; None where each is to be seen."""
        return None
