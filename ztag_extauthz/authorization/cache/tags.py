"""By what an answer can be forgotten: those who asked, and what they asked for.

subject:<issuer>|<subject>     tenant:<value of the claim that the settings name>
resource:<host><path>          all

Who may be told the same may have asked in another way: host and path are in their one spelling, here and where somebody
says what is to be forgotten.
"""

from typing import Final

from ztag_extauthz.hosts import host_of
from ztag_extauthz.model import Context
from ztag_extauthz.paths import path_of

ALL: Final = "all"


def subject(issuer: str, name: str) -> str:
    return f"subject:{issuer}|{name}"


def tenant(name: str) -> str:
    return f"tenant:{name}"


def resource(host: str, path: str) -> str:
    """Host and path as anybody may spell them."""
    return f"resource:{host_of(host)}{path_of(path)}"


def tags_of(context: Context, tenant_claim: str | None) -> tuple[str, ...]:
    """Return every tag of a request."""
    request, identity = context.request, context.identity
    tags = [ALL, subject(identity.issuer, identity.subject), resource(request.host, request.path)]
    if tenant_claim is not None and tenant_claim in identity.claims:
        tags.append(tenant(str(identity.claims[tenant_claim])))
    return tuple(tags)
