"""Step-up (RFC 9470): some routes ask for a stronger or a fresher sign-in than others.

Rule: whatever is in doubt is asked for more. A path is compared without its escapes and without regard to case, since a
spelling that only the upstream understands must not be a way around; a sign-in without a date was long ago.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Struct
from pydantic import Field, field_validator, model_validator

from ztag_extauthz.again import ALWAYS, Again
from ztag_extauthz.authorization.interface import Authorizer
from ztag_extauthz.component import Resources
from ztag_extauthz.hosts import HostPattern, host_of, is_at
from ztag_extauthz.model import Allow, Context, Deny, Pairs, Reason, Request, Verdict
from ztag_extauthz.paths import path_of
from ztag_extauthz.section import Section

ROUTE_EXTENSION = "ztag-route"
SKEW = 60.0
"""Seconds by which the issuer's clock may be ahead."""
AcrValue = Annotated[str, Field(pattern=r"^[!#-\[\]-~]+$")]
"""An authentication context class: visible ASCII that needs no escape in a challenge."""
_ALLOW = Allow()


class Requirement(Struct, frozen=True):
    """What is asked of a sign-in."""

    acr_values: tuple[str, ...]
    """The preferred one first; () for any."""
    max_age: int | None
    """Seconds since the sign-in; None for any."""

    def is_met(self, claims: Mapping[str, Any], now: float) -> bool:
        """Say whether a token's `acr` and `auth_time` are good enough. `now` in Unix seconds."""
        if self.acr_values and claims.get("acr") not in self.acr_values:
            return False
        if self.max_age is None:
            return True
        since = claims.get("auth_time")
        return isinstance(since, int | float) and type(since) is not bool and -SKEW <= now - since <= self.max_age

    def challenge(self, request: Request) -> Pairs:
        """Return the header that says so (RFC 9470 3), in the scheme that the token was shown with."""
        scheme = "DPoP" if request.headers.get("authorization", "")[:5].lower() == "dpop " else "Bearer"
        words = [
            'error="insufficient_user_authentication"',
            'error_description="A stronger or fresher sign-in is required"',
        ]
        if self.acr_values:
            words.append(f'acr_values="{" ".join(self.acr_values)}"')
        if self.max_age is not None:
            words.append(f'max_age="{self.max_age}"')
        return (("www-authenticate", f"{scheme} {', '.join(words)}"),)


class StepUpRuleSettings(Section):
    """What some routes ask for."""

    paths: tuple[str, ...] = ()
    """Paths, each with all below it: `/payments`, or `/payments/*`, is also `/payments/7`, and `/` every path."""
    routes: tuple[str, ...] = ()
    """Routes by the name that Envoy tells for them (`context_extensions: {ztag-route: checkout}`)."""
    methods: tuple[str, ...] = ()
    """Methods (`POST`); left out: all."""
    hosts: tuple[HostPattern, ...] = ()
    """`shop.example`, or `*.shop.example` for all below it; without a port. Left out: all.
    A request without a host may be at any of them."""
    acr_values: tuple[AcrValue, ...] = ()
    """Authentication context classes, the preferred one first; a token whose `acr` is among them passes."""
    max_age: int | None = Field(default=None, ge=0)
    """Seconds since the user signed in (`auth_time`) at most."""

    @field_validator("paths")
    @classmethod
    def _begin_with_a_slash(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        for path in paths:
            if not path.startswith("/") or "?" in path or "*" in path.removesuffix("/*"):
                raise ValueError("has a path that is none\nwrite /payments, which is also all that is below it")
        return paths

    @model_validator(mode="after")
    def _asks_something_of_somebody(self) -> "StepUpRuleSettings":
        if not self.paths and not self.routes:
            raise ValueError("names neither paths nor routes\nlist some; `paths: [/]` is all")
        if not self.acr_values and self.max_age is None:
            raise ValueError("asks for nothing\nset acr_values, max_age or both")
        return self


class StepUpSettings(Section):
    """Ask for a stronger or fresher sign-in on some routes (RFC 9470), of everybody who may otherwise go on."""

    decides: ClassVar[bool] = False

    kind: Literal["step_up"]
    rules: tuple[StepUpRuleSettings, ...] = Field(min_length=1)
    """Every rule that is about a request has to be met."""

    def build(self, resources: Resources) -> "StepUp":
        return StepUp(self, resources)


class StepUp(Authorizer):
    """Refuses with 401 and what is asked for."""

    kind: ClassVar[str] = "step_up"

    def __init__(self, settings: StepUpSettings, resources: Resources) -> None:
        self._rules = tuple(_Rule(rule) for rule in settings.rules)
        self._clock = resources.clock

    async def authorize(self, context: Context, deadline: float) -> Verdict:  # noqa: ARG002 - nothing is waited for
        request = context.request
        path = path_of(request.path)
        for rule in self._rules:
            if rule.is_about(request, path) and not rule.asks.is_met(context.identity.claims, self._clock()):
                why = "the route asks for a stronger or fresher sign-in"
                return Deny(Reason.STEP_UP, why, headers=rule.asks.challenge(request))
        return _ALLOW

    def again(self, context: Context, verdict: Verdict) -> Again | None:
        if isinstance(verdict, Deny):
            return None
        path = path_of(context.request.path)
        asked = [rule.asks for rule in self._rules if rule.is_about(context.request, path)]
        claims = context.identity.claims
        return Again(lambda now: all(asks.is_met(claims, now) for asks in asked)) if asked else ALWAYS


class _Rule:
    def __init__(self, settings: StepUpRuleSettings) -> None:
        self.asks = Requirement(settings.acr_values, settings.max_age)
        self._below = tuple(path_of(path.removesuffix("/*")).rstrip("/") + "/" for path in settings.paths)
        self._routes = frozenset(settings.routes)
        self._methods = frozenset(method.upper() for method in settings.methods)
        self._hosts = settings.hosts

    def is_about(self, request: Request, path: str) -> bool:
        """Say whether a request is among those that the rule names; `path` in its one spelling."""
        if self._methods and request.method.upper() not in self._methods:
            return False
        if self._hosts and host_of(request.host) and not is_at(request.host, self._hosts):
            return False
        return f"{path}/".startswith(self._below) or request.context_extensions.get(ROUTE_EXTENSION) in self._routes
