"""What one worker knows of revocations; asked about every request, however its credential was recognised."""

from collections.abc import Callable

from ztag_extauthz.component import Component, Readiness
from ztag_extauthz.errors import UnavailableError
from ztag_extauthz.model import Deny, Identity, Reason
from ztag_extauthz.revocation.entries import Revocation, keys_of
from ztag_extauthz.revocation.journal import Revocations
from ztag_extauthz.revocation.settings import RevocationSettings
from ztag_extauthz.stores.follower import Follower

_REFUSED = Deny(
    Reason.INVALID_CREDENTIALS,
    "the credential was revoked",
    headers=(("www-authenticate", 'Bearer error="invalid_token", error_description="the credential was revoked"'),),
)


class Register(Component):
    """Keeps up with Redis in the background; answers from memory."""

    kind = "revocation"

    def __init__(self, settings: RevocationSettings, journal: Revocations, clock: Callable[[], float]) -> None:
        """`clock` in Unix seconds."""
        self._max_stale = settings.max_stale
        self._clock = clock
        self.follower = Follower("revocations", journal, settings.interval, clock)

    def refuse(self, identity: Identity) -> Deny | None:
        """Return a refusal of somebody who was revoked. Raises `UnavailableError` where that is not known."""
        self._check_heard()
        entries = self.follower.entries
        if not entries:
            return None
        for key in keys_of(identity):
            entry = entries.get(key)
            if entry is not None and _is_meant(entry, identity):
                return _REFUSED
        return None

    def _check_heard(self) -> None:
        heard_at, limit = self.follower.heard_at, self._max_stale
        # What was heard at a time that is still to come was heard before the clock was set back: nobody knows when.
        if not heard_at or (limit is not None and abs(self._clock() - heard_at) > limit):
            raise UnavailableError(f"what was revoked is not known: {self.follower.why}")

    async def start(self) -> None:
        await self.follower.start()

    async def close(self) -> None:
        await self.follower.close()

    def readiness(self) -> tuple[Readiness, ...]:
        heard_at = self.follower.heard_at
        return (Readiness("revocations", bool(heard_at), self.follower.why, heard_at),)


def _is_meant(entry: Revocation, identity: Identity) -> bool:
    """Return whether somebody's credential is among what was revoked; one that does not say when it began, is."""
    if entry.kind in {"token", "session"}:
        return True
    issued = identity.claims.get("iat")
    return not isinstance(issued, int | float) or issued <= entry.before
