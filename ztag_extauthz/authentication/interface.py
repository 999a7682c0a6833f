"""Who asks?"""

from abc import ABC, abstractmethod

from ztag_extauthz.component import Component
from ztag_extauthz.model import Deny, Identity, Request


class Authenticator(Component, ABC):
    """Verifies one kind of credential."""

    @abstractmethod
    async def authenticate(self, request: Request, deadline: float) -> Identity | Deny | None:
        """Return who asks, a refusal of a credential that is present but not valid, or None if it is not present.

        `deadline` is in seconds of `time.monotonic`. Raises `UnavailableError` where the issuer's keys are needed and
        cannot be had, `DeadlineError` where they do not come in time.
        """

    def challenge(self) -> str | None:
        """Return the `WWW-Authenticate` value for a request that shows no credential at all (RFC 9110 11.6.1)."""
        return None
