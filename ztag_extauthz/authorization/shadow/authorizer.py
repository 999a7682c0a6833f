"""A policy beside which a candidate is asked the same."""

from ztag_extauthz.authorization.cache.levels import Levels
from ztag_extauthz.authorization.engines.interface import PolicyEngine
from ztag_extauthz.authorization.input.grpc_body import ProtoDescriptor
from ztag_extauthz.authorization.rego import Rego, RegoSettings
from ztag_extauthz.authorization.shadow.comparison import Shadow
from ztag_extauthz.errors import CheckError
from ztag_extauthz.model import Context, Decision, Failed, Request, Verdict


class Shadowed(Rego):
    """Lets a candidate be asked the same."""

    def __init__(  # noqa: PLR0913, PLR0917 - all of `Rego`'s, and the shadow
        self,
        settings: RegoSettings,
        policy: PolicyEngine,
        descriptor: ProtoDescriptor | None,
        loaded_at: float,
        levels: Levels | None,
        shadow: Shadow,
    ) -> None:
        super().__init__(settings, policy, descriptor, loaded_at, levels)
        self._shadow = shadow

    async def authorize(self, context: Context, deadline: float) -> Verdict:
        try:
            verdict = await super().authorize(context, deadline)
        except CheckError as error:
            self._shadow.note(context, Failed(error.reason))
            raise
        self._shadow.note(context, verdict)
        return verdict

    def again(self, context: Context, verdict: Verdict) -> None:
        """Return None: the candidate has to see each request."""

    def learn(self, request: Request, decision: Decision) -> None:
        self._shadow.decided(request, decision)

    async def start(self) -> None:
        await super().start()
        self._shadow.start()

    async def close(self) -> None:
        await self._shadow.close()
        await super().close()
