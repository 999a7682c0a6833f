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
from ztag_extauthz.rego.documents import from_python
from ztag_extauthz.rego.values import Value

__all__ = ["Identities", "ParseError", "build"]

BODY: Final = frozenset({"parsed_body", "truncated_body"})
"""The fields that a body has to be parsed for."""

_METADATA: Final = ("metadataContext", "routeMetadataContext")
_VERSION: Final = {"ext_authz": "v3", "encoding": "protojson"}


def build(
    context: Context,
    descriptor: ProtoDescriptor | None = None,
    *,
    parse_body: bool = True,
    identity: Value = None,
) -> dict[str, Any]:
    """Return one request's document, a value of Rego; raises `ParseError` where opa-envoy-plugin refuses with 400.

    Only what may hold fractions has to be made a value; the rest is one as it is. `identity` is `input.identity` where
    it is known already (`Identities`).
    """
    request = context.request
    path, _, query = request.path.partition("?")
    parsed_path = unescape(path).lstrip("/").split("/")
    attributes = request.attributes()
    for name in _METADATA:
        if name in attributes:
            attributes[name] = from_python(attributes[name])
    document: dict[str, Any] = {
        **(from_python(dict(context.facts)) if context.facts else {}),
        "version": _VERSION,
        "attributes": attributes,
        "parsed_path": parsed_path,
        "parsed_query": parse_query(query),
        "identity": identity or _identity(context.identity),
    }
    if parse_body:
        is_text = "body" in attributes.get("request", {}).get("http", {})
        body, truncated = opa_body.parse(request, parsed_path, descriptor, is_text=is_text)
        document["parsed_body"], document["truncated_body"] = body, truncated
    if request.source.principal:
        document["source_principal"] = request.source.principal
    return document


class Identities:
    """`input.identity` of those who asked lately: a token is verified once, and so its claims are made values once.

    An entry holds its `Identity`, so that an `id` that is found here is still the one that was meant.
    """

    def __init__(self, max_entries: int = 4096) -> None:
        self._max_entries = max_entries
        self._entries: dict[int, tuple[Identity, Value]] = {}

    def document(self, identity: Identity) -> Value:
        found = self._entries.get(id(identity))
        if found is not None:
            return found[1]
        if len(self._entries) >= self._max_entries:
            self._entries.clear()
        document = _identity(identity)
        self._entries[id(identity)] = identity, document
        return document


def _identity(identity: Identity) -> Value:
    return {
        "subject": identity.subject,
        "issuer": identity.issuer,
        "kind": identity.kind,
        "claims": from_python(dict(identity.claims)),
        "expires_at": from_python(identity.expires_at),
        "scopes": from_python(list(identity.scopes)),
        "roles": from_python(list(identity.roles)),
        "groups": from_python(list(identity.groups)),
    }
