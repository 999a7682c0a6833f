"""Requests that show no credential at all."""

from typing import Literal

from ztag_extauthz.authentication.interface import Authenticator
from ztag_extauthz.component import Resources
from ztag_extauthz.model import Identity, Request
from ztag_extauthz.section import Section

NOBODY = Identity(subject="anonymous", issuer="", kind="anonymous")


class AnonymousSettings(Section):
    """Let requests without any credential go on to the policy, which then decides on `input.identity.kind`."""

    kind: Literal["anonymous"]

    def build(self, resources: Resources) -> "Anonymous":  # noqa: ARG002 - every kind is built alike
        return Anonymous()


class Anonymous(Authenticator):
    """Answers for whoever no earlier kind answered for, so it stands last."""

    kind = "anonymous"

    async def authenticate(self, request: Request, deadline: float) -> Identity:  # noqa: ARG002
        return NOBODY
