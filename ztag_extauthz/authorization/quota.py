"""Limits by subject, tenant or any part of request and identity. Never cached, so every request is counted."""

from typing import ClassVar, Literal

from ztag_extauthz.authorization.interface import Authorizer
from ztag_extauthz.component import Resources
from ztag_extauthz.model import Allow, Context, Verdict
from ztag_extauthz.stores.limits import LimitsSettings, limits

_ALLOW = Allow()


class QuotaSettings(LimitsSettings):
    """Limits after authentication: by subject, issuer or claim."""

    decides: ClassVar[bool] = False

    kind: Literal["quota"]

    def build(self, resources: Resources) -> "Quota":
        return Quota(self, resources)


class Quota(Authorizer):
    """Refuses with 429 whoever asks too often."""

    kind: ClassVar[str] = "quota"

    def __init__(self, settings: QuotaSettings, resources: Resources) -> None:
        self._limits = limits(settings, resources, "authorization")

    async def authorize(self, context: Context, deadline: float) -> Verdict:  # noqa: ARG002 - Redis has its own timeout
        return await self._limits.refuse(context.request, context.identity) or _ALLOW

    async def close(self) -> None:
        await self._limits.close()
