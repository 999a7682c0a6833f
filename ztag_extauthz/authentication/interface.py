"""Who asks?"""

from abc import ABC, abstractmethod
from collections.abc import Iterable

from ztag_extauthz.again import Again
from ztag_extauthz.authentication.bearer import Bearer
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

    def again(self, request: Request, said: Identity | None) -> Again | None:  # noqa: ARG002 - for kinds that can
        """Return how to see that `said` is the answer for requests like this one; None where each is to be seen.

        Called right after `authenticate` said so.
        """
        return None

    def challenge(self) -> str | None:
        """Return the `WWW-Authenticate` value for a request that shows no credential at all (RFC 9110 11.6.1)."""
        return None

    def bearers(self) -> tuple[Bearer, ...]:
        """Return where in requests its credential stands; () for what is no header or cookie of the client's."""
        return ()

    def joined(self, other: "Authenticator") -> "Authenticator | None":  # noqa: ARG002 - for kinds that can
        """Return one that does the work of both where they read the same credential, else None.

        A credential then has one reader who knows every issuer, so none falls through to a later kind.
        """
        return None


def join(authenticators: Iterable[Authenticator]) -> list[Authenticator]:
    """Join those that read the same credential, each at the place of the first of them."""
    joined: list[Authenticator] = []
    for new in authenticators:
        for place, earlier in enumerate(joined):
            both = earlier.joined(new)
            if both is not None:
                joined[place] = both
                break
        else:
            joined.append(new)
    return joined
