"""`kind: risk`: scores, says what the band asks for, and learns from what was allowed.

Rule 1: nothing is learned before the decision is known, and then only from a request that was allowed by every kind and
scored below the step-up threshold, or passed a step-up. So an attacker cannot train us with what we refuse.
Rule 2: every attempt counts for bursts and fan-out, and a credential that was refused counts against its address.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace

from ztag_extauthz.again import UNLIKE_HEADERS, Again
from ztag_extauthz.authorization.interface import Authorizer
from ztag_extauthz.authorization.risk.exchange import Exchange
from ztag_extauthz.authorization.risk.features import Features
from ztag_extauthz.authorization.risk.model import Band, Model, read_model
from ztag_extauthz.authorization.risk.notes import NoteError
from ztag_extauthz.authorization.risk.scorer import Assessment, Scorer
from ztag_extauthz.authorization.risk.state import State, read_snapshot, write_snapshot
from ztag_extauthz.component import cancelled
from ztag_extauthz.model import EMPTY, Allow, Context, Decision, Deny, Reason, Request, Stage, Timings, Verdict
from ztag_extauthz.stores.digest import hasher
from ztag_extauthz.stores.geo import AddressLists, Places, usable
from ztag_extauthz.stores.limits.rate_limits import limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from ztag_extauthz.authorization.risk import RiskSettings
    from ztag_extauthz.component import Resources

LOG = logging.getLogger("ztag.risk")
_IN_FLIGHT = 65_536
"""Requests whose decision is still awaited; more than a worker ever admits."""
_REFUSED_UPSTREAM = (401, 403)
_ALLOW = Allow()


class Risk(Authorizer):
    """Allows with `input.risk`, or does what the band asks for."""

    kind: ClassVar[str] = "risk"

    def __init__(self, settings: RiskSettings, resources: Resources) -> None:
        self._settings = settings
        self._clock, self._meter = resources.clock, resources.meter
        self._outcomes = {failed: resources.meter.series("ztag_risk_outcomes", failed) for failed in ("ok", "failed")}
        self._bands = {band: resources.meter.series("ztag_risk", band) for band in Band}
        self._snapshot = resources.folder / settings.snapshot if settings.snapshot else None
        self._exchange = Exchange(settings.replicas, resources, self._merge) if settings.replicas else None
        kept = usable(read_snapshot, self._snapshot) if self._snapshot else b""
        self._state = State(resources.memory, kept, self._exchange.seed if self._exchange else b"")
        places = Places(resources.folder, settings.databases)
        threats = AddressLists(resources.folder, settings.threat_lists)
        model = usable(read_model, resources.folder / settings.model) if settings.model else Model()
        self._step_up = settings.step_up.requirement() if settings.step_up else None
        self._limits = limits(settings.limits, resources, "authorization") if settings.limits else None
        self._features = features = Features(
            hasher(self._state.seed), places, threats, settings.fingerprint_header, settings.trusted_proxies
        )
        self.scorer = Scorer(self._state, features, model)
        if self._exchange is not None:
            self.scorer.tell = self._exchange.note
        self._pending: dict[int, bytes] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def authorize(self, context: Context, deadline: float) -> Verdict:  # noqa: ARG002 - Redis has its own timeout
        now = self._clock()
        found = self._assess(context, now)
        if self._limits is not None and self._action(found) == "limit":
            return await self._limits.refuse(context.request, context.identity) or self._allow(found, now)
        return self._act(context, found, now)

    def again(self, context: Context, verdict: Verdict) -> Again | None:
        settings = self._settings
        if (
            isinstance(verdict, Deny)
            or settings.outcomes
            or settings.limits
            or settings.fingerprint_header.lower() in {*UNLIKE_HEADERS, "authorization"}
        ):
            return None
        request = self._features.bare(context.request)
        bare = Context(request, context.identity)
        allowed = Decision("", 0.0, _ALLOW, Stage.AUTHORIZATION, self.kind, context.identity, EMPTY, Timings())

        def count(now: float) -> Deny | Mapping[str, object]:
            verdict = self._act(bare, self._assess(bare, now), now)
            return verdict if isinstance(verdict, Deny) else verdict.facts

        def learn(decision_id: str, time: float, _: bytes) -> None:
            self.learn(request, replace(allowed, id=decision_id, time=time))

        return Again(count=count, learn=learn)

    def _assess(self, context: Context, now: float) -> Assessment:
        # A request that was cut off is never reported, and another one may have its place in memory now.
        self._pending.pop(id(context.request), None)
        found = self.scorer.assess(context.request, context.identity, now)
        self._meter.add(self._bands[found.band])
        return found

    def _action(self, found: Assessment) -> str:
        """Return what the settings ask for in a band."""
        if found.band is Band.LOW:
            return "allow"
        return self._settings.elevated if found.band is Band.ELEVATED else self._settings.high

    def _act(self, context: Context, found: Assessment, now: float) -> Verdict:
        """Do it, but for limits."""
        action = self._action(found)
        why = "" if found.band is Band.LOW else f"risk {found.score:.2f} ({found.band}): {', '.join(found.top)}"
        if action == "deny":
            return Deny(Reason.RISK, why, metadata={"risk": _facts(found)})
        if action == "step_up" and self._step_up is not None:
            if not self._step_up.is_met(context.identity.claims, now):
                challenge = self._step_up.challenge(context.request)
                return Deny(Reason.STEP_UP, why, headers=challenge, metadata={"risk": _facts(found)})
            self._await(context.request, found)
        elif found.band is Band.LOW:
            self._await(context.request, found)
        return self._allow(found, now)

    def _allow(self, found: Assessment, now: float) -> Allow:
        if not self._settings.outcomes:
            return Allow(facts={"risk": _facts(found)})
        return Allow(facts={"risk": _facts(found)}, notes={self.kind: self.scorer.note(found.handle, now)})

    def _await(self, request: Request, found: Assessment) -> None:
        if len(self._pending) >= _IN_FLIGHT:
            self._pending.clear()
        self._pending[id(request)] = found.handle

    def learn(self, request: Request, decision: Decision) -> None:
        """Learn what was allowed; count credentials that were refused."""
        handle = self._pending.pop(id(request), None)
        if isinstance(decision.verdict, Allow) and handle is not None:
            self.scorer.learn(handle)
            if not self._settings.outcomes:
                self.scorer.outcome(request, decision.identity, decision.time, failed=False)
        elif isinstance(decision.verdict, Deny) and decision.verdict.reason is Reason.INVALID_CREDENTIALS:
            self.scorer.outcome(request, None, decision.time, failed=True)

    def ended(self, note: str, status: int) -> None:
        """Count what the upstream thought of a request, if it was asked."""
        if status == 0:
            return
        failed = status in _REFUSED_UPSTREAM
        with suppress(NoteError):
            self.scorer.ended(note, self._clock(), failed=failed)
            self._meter.add(self._outcomes["failed" if failed else "ok"])

    async def start(self) -> None:
        if self._snapshot is not None:
            self._tasks.append(asyncio.create_task(self._keep(self._snapshot)))
        if self._exchange is not None and self._settings.replicas is not None:
            self._tasks.append(asyncio.create_task(self._listen(self._exchange, self._settings.replicas.interval)))

    async def _listen(self, exchange: Exchange, interval: float) -> None:
        while True:
            await asyncio.sleep(interval)
            await exchange.turn()

    def _merge(self, pairs: Sequence[Sequence[int]]) -> None:
        self.scorer.merge(pairs, self._clock())

    async def _keep(self, path: Path) -> None:
        """Write snapshots, in one worker of the node: the first to get the lock, the next one when it ends."""
        with _told(path), path.with_name(path.name + ".lock").open("w") as lock:
            while True:
                await asyncio.sleep(self._settings.snapshot_interval)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                with _told(path):
                    await asyncio.to_thread(write_snapshot, path, self._state)

    async def close(self) -> None:
        await cancelled(*self._tasks)
        if self._snapshot is not None:
            with _told(self._snapshot):
                await asyncio.to_thread(write_snapshot, self._snapshot, self._state)
        for part in (self._limits, self._exchange):
            if part is not None:
                await part.close()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Let a snapshot that cannot be written cost nothing but a warning."""
    try:
        yield
    except OSError as error:
        LOG.warning("risk: the snapshot %s cannot be written: %s", path, error.strerror or error)


def _facts(found: Assessment) -> dict[str, object]:
    return {"score": round(found.score, 3), "band": found.band.value, "signals": found.top}
