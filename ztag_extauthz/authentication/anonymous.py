"""Requests that show no credential at all."""

from typing import Literal

from ztag_extauthz.again import ALWAYS, Again
from ztag_extauthz.authentication.interface import Authenticator
from ztag_extauthz.component import Resources
from ztag_extauthz.model import Identity, Request
from ztag_extauthz.section import Section

NOBODY = Identity(subject="anonymous", issuer="", kind="anonymous")


class AnonymousSettings(Section):
    """Let requests without any credential go on to the policy, which then decides on `input.identity.kind`."""

    kind: Literal["anonymous"]
    insecure_any_authorization: bool = False
    """Also take requests with an `authorization` header that no other kind accepts, for a policy that reads it by
    itself."""

    def build(self, resources: Resources) -> "Anonymous":  # noqa: ARG002 - every kind is built alike
        return Anonymous(any_authorization=self.insecure_any_authorization)


class Anonymous(Authenticator):
    """Answers for whoever no earlier kind answered for, so it stands last."""

    kind = "anonymous"

    def __init__(self, *, any_authorization: bool) -> None:
        self._any_authorization = any_authorization

    async def authenticate(self, request: Request, deadline: float) -> Identity | None:  # noqa: ARG002
        """Answer for nobody; a header that shows somebody, but of no accepted kind, gets no answer and hence a 401."""
        if "authorization" in request.headers and not self._any_authorization:
            return None
        return NOBODY

    def again(self, request: Request, said: Identity | None) -> Again:  # noqa: ARG002 - whichever it is
        return ALWAYS
