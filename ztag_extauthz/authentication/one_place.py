"""Credentials in two places: which of them would count would be up to the order of the settings, so none does.

One reader sees to its own header and cookie (RFC 6750 2: no more than one method); this sees to all of them together.
"""

from collections.abc import Sequence

from ztag_extauthz.again import ALWAYS, UNLIKE_HEADERS, Again
from ztag_extauthz.authentication.bearer import Bearer
from ztag_extauthz.authentication.interface import Authenticator
from ztag_extauthz.model import Deny, Identity, Request


class OnePlace(Authenticator):
    """Stands before all others; has no credential of its own."""

    kind = "one_place"

    def __init__(self, bearers: Sequence[Bearer]) -> None:
        self._bearers = bearers

    async def authenticate(self, request: Request, deadline: float) -> Deny | None:  # noqa: ARG002 - nothing is waited for
        """Refuse a request with credentials in several places."""
        places = {place for bearer in self._bearers for place in bearer.places(request)}
        return self._bearers[0].unreadable("credentials were sent in two places") if len(places) > 1 else None

    def again(self, request: Request, said: Identity | None) -> Again | None:  # noqa: ARG002 - whichever it is
        return None if any(bearer.header in UNLIKE_HEADERS for bearer in self._bearers) else ALWAYS


def guarded(authenticators: Sequence[Authenticator]) -> list[Authenticator]:
    """Return the authenticators, behind a guard where their credentials can stand in several places."""
    bearers = [bearer for one in authenticators for bearer in one.bearers()]
    places = {bearer.header for bearer in bearers} | {bearer.cookie for bearer in bearers if bearer.cookie}
    return [OnePlace(bearers), *authenticators] if len(places) > 1 else list(authenticators)
