"""The `input` of a policy: opa-envoy-plugin's (its envoyauth/request.go), and beside it what ztag found out.

    version, attributes, parsed_path, parsed_query, parsed_body, truncated_body, source_principal
    identity {subject, issuer, kind, claims, expires_at, scopes, roles, groups}, and each fact of an earlier authorizer
    by its name

Parsing follows Go's `net/url`, on which existing policies rely: "%2F" becomes a separator, ".." stays, a ";" in a query
is an error.
"""

from typing import Any, Final

from ztag_extauthz.authorization import opa_body
from ztag_extauthz.authorization.go_url import parse_query, unescape
from ztag_extauthz.authorization.grpc_body import ProtoDescriptor
from ztag_extauthz.authorization.parse_error import ParseError
from ztag_extauthz.model import Context, Identity

__all__ = ["ParseError", "build"]

_VERSION: Final = {"ext_authz": "v3", "encoding": "protojson"}


def build(context: Context, descriptor: ProtoDescriptor | None = None, *, parse_body: bool = True) -> dict[str, Any]:
    """Return the document for one request; raises `ParseError` where opa-envoy-plugin refuses with 400."""
    request = context.request
    path, _, query = request.path.partition("?")
    parsed_path = unescape(path).lstrip("/").split("/")
    attributes = request.attributes()
    document: dict[str, Any] = {
        **context.facts,
        "version": _VERSION,
        "attributes": attributes,
        "parsed_path": parsed_path,
        "parsed_query": parse_query(query),
        "identity": _identity(context.identity),
    }
    if parse_body:
        is_text = "body" in attributes.get("request", {}).get("http", {})
        body, truncated = opa_body.parse(request, parsed_path, descriptor, is_text=is_text)
        document["parsed_body"], document["truncated_body"] = body, truncated
    if request.source.principal:
        document["source_principal"] = request.source.principal
    return document


def _identity(identity: Identity) -> dict[str, Any]:
    return {
        "subject": identity.subject,
        "issuer": identity.issuer,
        "kind": identity.kind,
        "claims": dict(identity.claims),
        "expires_at": identity.expires_at,
        "scopes": list(identity.scopes),
        "roles": list(identity.roles),
        "groups": list(identity.groups),
    }
