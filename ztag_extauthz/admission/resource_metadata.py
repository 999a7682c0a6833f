"""The metadata of protected resources (RFC 9728), answered in the upstream's place to whoever asks."""

from typing import ClassVar

from ztag_extauthz.admission.interface import Gate
from ztag_extauthz.again import ALWAYS, Again
from ztag_extauthz.model import Deny, Reason, Request
from ztag_extauthz.protected_resource import ProtectedResources

_HEADERS = (
    ("content-type", "application/json"),
    ("cache-control", "public, max-age=300"),
    # Clients that run in a browser read it from other origins, and it is public.
    ("access-control-allow-origin", "*"),
)


class ResourceMetadata(Gate):
    """Answers 200 with the document; Envoy is told that the request goes no further."""

    kind: ClassVar[str] = "resource_metadata"

    def __init__(self, resources: ProtectedResources) -> None:
        self._resources = resources

    async def admit(self, request: Request, deadline: float) -> Deny | None:  # noqa: ARG002 - nothing is waited for
        document = self._resources.document(request)
        if document is None:
            return None
        return Deny(Reason.ANSWERED, "the resource's metadata", 200, _HEADERS, document.decode())

    def again(self, request: Request) -> Again:  # noqa: ARG002 - whichever it is
        return ALWAYS
