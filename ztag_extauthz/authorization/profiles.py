"""Several policies in one server: the first profile that is for a request decides on it.

A request that no profile is for is refused, unless a default is named. A path is compared as Envoy sends it: what could
be read in two ways never comes here (`admission`), and where the settings let it through, paths may not choose.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Literal

from msgspec.structs import replace
from pydantic import Field, field_validator, model_validator

from ztag_extauthz.again import Again
from ztag_extauthz.authorization.interface import Authorizer, Question
from ztag_extauthz.authorization.rego import RegoSettings
from ztag_extauthz.component import Readiness, Resources
from ztag_extauthz.errors import Mistake, MistakesError, PolicyError
from ztag_extauthz.hosts import HostPattern, is_at
from ztag_extauthz.model import Context, Decision, Deny, Reason, Request, Verdict
from ztag_extauthz.section import Section


class WhenSettings(Section):
    """Which requests a profile is for. Whatever is named has to agree; at least one has to be named."""

    hosts: tuple[HostPattern, ...] = ()
    """`shop.example`, or `*.shop.example` for all below it; without a port."""
    paths: tuple[str, ...] = ()
    """`/health`, or `/api/*` for `/api` and all below it."""
    context_extensions: Mapping[str, str] = {}
    """What Envoy's route says (`context_extensions` of its `check_settings`): `{profile: shop}`. A client cannot."""

    @field_validator("paths")
    @classmethod
    def _rooted(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        for path in paths:
            if not path.startswith("/") or "*" in path.removesuffix("/*") or "?" in path:
                raise ValueError(f"{path!r:.80} is no path\nwrite /health or /api/*")
        return paths

    @model_validator(mode="after")
    def _names_something(self) -> "WhenSettings":
        if not (self.hosts or self.paths or self.context_extensions):
            raise ValueError("names nothing\nname hosts, paths or context_extensions; for all others: default")
        return self

    def holds(self, request: Request) -> bool:
        """Tell whether a request is one of these."""
        return (
            (not self.hosts or is_at(request.host, self.hosts))
            and (not self.paths or _is_below(request.path.partition("?")[0], self.paths))
            and all(request.context_extensions.get(name) == value for name, value in self.context_extensions.items())
        )


def _is_below(path: str, paths: Sequence[str]) -> bool:
    """Tell whether a path is one of those; what is none (CONNECT, a connection) is below nothing."""
    return path.startswith("/") and any(
        f"{path}/".startswith(each[:-1]) if each.endswith("/*") else path == each for each in paths
    )


class ProfileSettings(Section):
    """One policy, and the requests that it is for."""

    name: str = Field(min_length=1)
    """What `default` and mistakes call it."""
    when: WhenSettings | None = None
    """Left out: for nothing but what the default is for."""
    policy: RegoSettings


class ProfilesSettings(Section):
    """Choose the policy by host, path or what Envoy's route says: the first profile that agrees decides alone."""

    kind: Literal["profiles"]
    profiles: tuple[ProfileSettings, ...] = Field(min_length=1)
    """In the order in which they are tried."""
    default: str | None = None
    """The profile for requests that no other is for. Left out: they are denied."""

    @model_validator(mode="after")
    def _names(self) -> "ProfilesSettings":
        names = [profile.name for profile in self.profiles]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two profiles are named {twice}\ngive each a name of its own")
        if self.default is not None and self.default not in names:
            raise ValueError(f"default: no profile is named {self.default}\nthere are: {', '.join(names)}")
        for profile in self.profiles:
            if profile.when is None and profile.name != self.default:
                raise ValueError(f"profile {profile.name} is for no request\ngive it a when, or name it as default")
        return self

    def build(self, resources: Resources) -> "Profiles":
        """Load every policy; raises `PolicyError` with the mistakes of all."""
        built: dict[str, Authorizer] = {}
        mistakes: list[Mistake] = []
        for index, profile in enumerate(self.profiles):
            try:
                built[profile.name] = profile.policy.build(resources)
            except MistakesError as error:
                mistakes += error.of(f"profiles[{index}].policy")
        if mistakes:
            raise PolicyError(tuple(mistakes))
        return Profiles(self, built)


class Profiles(Authorizer):
    """Asks the one policy that a request is for."""

    kind = "profiles"

    def __init__(self, settings: ProfilesSettings, policies: Mapping[str, Authorizer]) -> None:
        self._policies = policies
        self._conditions = [
            (profile.when, policies[profile.name]) for profile in settings.profiles if profile.when is not None
        ]
        self._default = None if settings.default is None else policies[settings.default]
        self._running = AsyncExitStack()

    def _chosen(self, request: Request) -> Authorizer | None:
        return next((policy for when, policy in self._conditions if when.holds(request)), self._default)

    async def authorize(self, context: Context, deadline: float) -> Verdict:
        policy = self._chosen(context.request)
        if policy is None:
            return Deny(Reason.POLICY, "no profile is for this request")
        return await policy.authorize(context, deadline)

    def again(self, context: Context, verdict: Verdict) -> Again | None:
        policy = self._chosen(context.request)
        return None if policy is None else policy.again(context, verdict)

    @property
    def learns(self) -> bool:
        return any(policy.learns for policy in self._policies.values())

    def learn(self, request: Request, decision: Decision) -> None:
        for policy in self._policies.values():
            policy.learn(request, decision)

    def questions(self, context: Context) -> Iterator[Question]:
        policy = self._chosen(context.request)
        if policy is not None:
            yield from policy.questions(context)

    async def start(self) -> None:
        """Start every policy; what does not start ends those before it."""
        async with AsyncExitStack() as started:
            for policy in self._policies.values():
                started.push_async_callback(policy.close)
                await policy.start()
            self._running = started.pop_all()

    async def close(self) -> None:
        await self._running.aclose()

    def release(self) -> list[Any]:
        return [owned for policy in self._policies.values() for owned in policy.release()]

    def readiness(self) -> tuple[Readiness, ...]:
        return tuple(
            replace(entry, component=f"{entry.component} of profile {name}")
            for name, policy in self._policies.items()
            for entry in policy.readiness()
        )
