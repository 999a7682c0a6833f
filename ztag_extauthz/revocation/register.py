"""What one worker knows of revocations; asked about every request, however its credential was recognised."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from ztag_extauthz.component import Component, Readiness
from ztag_extauthz.errors import UnavailableError
from ztag_extauthz.model import Deny, Identity, Reason
from ztag_extauthz.revocation.entries import Revocation, RevocationError, keys_of
from ztag_extauthz.revocation.feed import Feed
from ztag_extauthz.revocation.settings import RevocationSettings

LOG = logging.getLogger("ztag.revocation")
SWEEP = 60.0
"""Seconds between two looks for what is over."""
_REFUSED = Deny(
    Reason.INVALID_CREDENTIALS,
    "the credential was revoked",
    headers=(("www-authenticate", 'Bearer error="invalid_token", error_description="the credential was revoked"'),),
)


class Register(Component):
    """Keeps up with Redis in the background; answers from memory."""

    kind = "revocation"

    def __init__(self, settings: RevocationSettings, feed: Feed, clock: Callable[[], float]) -> None:
        """`clock` in Unix seconds."""
        self._settings = settings
        self._feed = feed
        self._clock = clock
        self._entries: dict[tuple[str, str, str], Revocation] = {}
        self._heard_at = 0.0
        self._swept_at = clock()
        self._why = "not asked yet"
        self._loop: asyncio.Task[None] | None = None

    def refuse(self, identity: Identity) -> Deny | None:
        """Return a refusal of somebody who was revoked. Raises `UnavailableError` where that is not known."""
        self._check_heard()
        entries = self._entries
        if not entries:
            return None
        for key in keys_of(identity):
            entry = entries.get(key)
            if entry is not None and _is_meant(entry, identity):
                return _REFUSED
        return None

    def _check_heard(self) -> None:
        limit = self._settings.max_stale
        if not self._heard_at or (limit is not None and self._clock() - self._heard_at > limit):
            raise UnavailableError(f"what was revoked is not known: {self._why}")

    async def start(self) -> None:
        self._loop = asyncio.create_task(self._keep_up(), name="revocations")

    async def close(self) -> None:
        if self._loop is not None:
            self._loop.cancel()
            with suppress(asyncio.CancelledError):
                await self._loop
        await self._feed.close()

    def readiness(self) -> tuple[Readiness, ...]:
        return (Readiness("revocations", bool(self._heard_at), self._why, self._heard_at),)

    async def _keep_up(self) -> None:
        while True:
            try:
                await self.catch_up()
            except UnavailableError as error:
                if not self._why:
                    LOG.warning("revocations: %s", error)
                self._why = str(error)
            await asyncio.sleep(self._settings.interval)

    async def catch_up(self) -> None:
        """Learn what is new, and give back what Redis lost. Raises `UnavailableError`."""
        news = await self._feed.news()
        before = tuple(self._entries.values())
        for text in news.entries:
            self._learn(text)
        if news.lost:
            LOG.warning("revocations: Redis lost what it had; %d are given back", len(before))
            await self._feed.add(before)
        self._heard_at, self._why = self._clock(), ""
        if self._clock() - self._swept_at > SWEEP:
            await self._sweep()

    def _learn(self, text: bytes) -> None:
        try:
            entry = self._feed.seal.read(text)
        except RevocationError as error:
            LOG.warning("revocations: %s", error)
            return
        known = self._entries.get(entry.key)
        if known is None or known.before < entry.before:
            self._entries[entry.key] = entry

    async def _sweep(self) -> None:
        now = self._swept_at = self._clock()
        over = [entry for entry in self._entries.values() if entry.until < now]
        for entry in over:
            del self._entries[entry.key]
        await self._feed.drop(over)


def _is_meant(entry: Revocation, identity: Identity) -> bool:
    """Return whether somebody's credential is among what was revoked; one that does not say when it began, is."""
    if entry.kind in {"token", "session"}:
        return True
    issued = identity.claims.get("iat")
    return not isinstance(issued, int | float) or issued <= entry.before
