"""Limits by address, route or any part of the bare request, before a credential is looked at."""

from typing import ClassVar

from pydantic import model_validator

from ztag_extauthz.admission.interface import Gate
from ztag_extauthz.again import Again
from ztag_extauthz.component import Resources
from ztag_extauthz.model import Deny, Request
from ztag_extauthz.stores.limits.rate_limits import LimitsSettings, limits
from ztag_extauthz.traits import is_of_identity


class RateLimitSettings(LimitsSettings):
    """Limits before authentication: by address, route or header."""

    @model_validator(mode="after")
    def _knows_no_identity(self) -> "RateLimitSettings":
        late = sorted({name for limit in self.limits for name in limit.by if is_of_identity(name)})
        if late:
            raise ValueError(f"{', '.join(late)}: known only after authentication; put it into `kind: quota`")
        return self

    def build(self, resources: Resources) -> "RateLimit":
        return RateLimit(self, resources)


class RateLimit(Gate):
    """Refuses with 429 whoever asks too often."""

    kind: ClassVar[str] = "rate_limit"

    def __init__(self, settings: RateLimitSettings, resources: Resources) -> None:
        self._limits = limits(settings, resources, "admission")

    async def admit(self, request: Request, deadline: float) -> Deny | None:  # noqa: ARG002 - Redis has its own timeout
        return await self._limits.refuse(request)

    def again(self, request: Request) -> Again | None:
        return self._limits.again(request)

    async def start(self) -> None:
        self._limits.start()

    async def close(self) -> None:
        await self._limits.close()
