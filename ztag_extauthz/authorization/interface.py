"""May they?"""

from abc import ABC, abstractmethod

from ztag_extauthz.component import Component
from ztag_extauthz.model import Context, Decision, Request, Verdict


class Authorizer(Component, ABC):
    """Decides on a request whose sender is known. Every one has to allow."""

    @abstractmethod
    async def authorize(self, context: Context, deadline: float) -> Verdict:
        """Return the verdict; `deadline` is in seconds of `time.monotonic`.

        Raises a `CheckError` where no verdict can be found: undefined, failed, of the wrong type, too late.
        """

    def learn(self, request: Request, decision: Decision) -> None:
        """Take note of what was decided on any request, by whatever stage. Neither raises nor waits."""
