"""Limits by subject, tenant or any part of request and identity. Never cached, so every request is counted."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from ztag_extauthz.again import Again
from ztag_extauthz.authorization.interface import Authorizer
from ztag_extauthz.component import Resources
from ztag_extauthz.model import Allow, Context, Deny, Verdict
from ztag_extauthz.stores.limits.concurrency import ConcurrencySettings, semaphores
from ztag_extauthz.stores.limits.rate_limits import LimitSettings, LimitsSettings, limits

_ALLOW = Allow()


class QuotaSettings(LimitsSettings):
    """Limits after authentication: by subject, issuer or claim."""

    decides: ClassVar[bool] = False

    kind: Literal["quota"]
    limits: tuple[LimitSettings, ...] = Field(default=(), max_length=16)
    """Every one has to allow; a request that is refused is charged to none."""
    concurrent: tuple[ConcurrencySettings, ...] = Field(default=(), max_length=16)
    """How many requests may be under way. Envoy tells when they end, by a gRPC access log to ztag's cluster
    (`ztag wire envoy` prints it)."""

    @model_validator(mode="after")
    def _limits_something(self) -> "QuotaSettings":
        if not self.limits and not self.concurrent:
            raise ValueError("it limits nothing: list `limits` or `concurrent`")
        names = [*(limit.name for limit in self.limits), *(limit.name for limit in self.concurrent)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two limits have the name {', '.join(twice)}: give each its own")
        return self

    def build(self, resources: Resources) -> "Quota":
        return Quota(self, resources)


class Quota(Authorizer):
    """Refuses with 429 whoever asks too often, or for too much at once."""

    kind: ClassVar[str] = "quota"

    def __init__(self, settings: QuotaSettings, resources: Resources) -> None:
        self._limits = limits(settings, resources, "authorization") if settings.limits else None
        self._places = semaphores(settings.concurrent, settings, resources) if settings.concurrent else None

    async def authorize(self, context: Context, deadline: float) -> Verdict:  # noqa: ARG002 - Redis has its own timeout
        request, identity = context.request, context.identity
        if self._places is None:
            return await self._charge(context) or _ALLOW
        note = await self._places.take(request, identity)
        if not isinstance(note, str):
            return note
        allowed = False
        try:
            verdict = await self._charge(context) or Allow(notes={self.kind: note})
            allowed = isinstance(verdict, Allow)
        finally:
            if not allowed:
                self._places.give_back(note)
        return verdict

    def again(self, context: Context, verdict: Verdict) -> Again | None:
        if isinstance(verdict, Deny) or self._places is not None or self._limits is None:
            return None  # a place is given back for each request
        return self._limits.again(context.request, context.identity)

    async def _charge(self, context: Context) -> Verdict | None:
        return await self._limits.refuse(context.request, context.identity) if self._limits else None

    def ended(self, note: str, status: int) -> None:  # noqa: ARG002 - a place is free however the request ended
        """Give the request's places back."""
        if self._places is not None:
            self._places.give_back(note)

    async def start(self) -> None:
        for part in (self._limits, self._places):
            if part is not None:
                part.start()

    async def close(self) -> None:
        for part in (self._limits, self._places):
            if part is not None:
                await part.close()
