"""The `input` of a policy: opa-envoy-plugin's (its envoyauth/request.go), and beside it what ztag found out.

    version, attributes, parsed_path, parsed_query, parsed_body, truncated_body, source_principal
    identity {subject, issuer, kind, claims, expires_at, scopes, roles, groups}, and each fact of an earlier authorizer
    by its name

Parsing follows Go's `net/url`, on which existing policies rely: "%2F" becomes a separator, ".." stays, a ";" in a query
is an error.
"""

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, Final, Generic, TypeVar

from ztag_extauthz.authorization.input import opa_body
from ztag_extauthz.authorization.input.go_url import MAX_PARAMETERS, parse_query, unescape
from ztag_extauthz.authorization.input.grpc_body import ProtoDescriptor
from ztag_extauthz.model import Context, Identity, Request
from ztag_extauthz.rego.documents import from_python
from ztag_extauthz.rego.values import Value

Made = TypeVar("Made")

BODY: Final = frozenset({"parsed_body", "truncated_body"})
"""The fields that a body has to be parsed for."""


_METADATA: Final = ("metadataContext", "routeMetadataContext")
VERSION: Final = {"ext_authz": "v3", "encoding": "protojson"}


def build(
    context: Context,
    descriptor: ProtoDescriptor | None = None,
    *,
    parse_body: bool = True,
    identity: Value = None,
) -> dict[str, Any]:
    """Return one request's document, a value of Rego; raises `ParseError` where opa-envoy-plugin refuses with 400.

    `identity` is `input.identity` where it is known already (`Identities`).
    """
    request = context.request
    document: dict[str, Any] = {
        **(from_python(dict(context.facts)) if context.facts else {}),
        "version": VERSION,
        "parsed_path": parsed_path(request),
        "parsed_query": parsed_query(request),
        "attributes": attributes(request),
        "identity": identity or of_identity(context.identity),
    }
    if parse_body:
        document.update(body(request, descriptor))
    if request.source.principal:
        document["source_principal"] = request.source.principal
    return document


def check(request: Request) -> None:
    """Raise `ParseError` where `parsed_path` or `parsed_query` does."""
    path = request.path
    if "%" in path or ";" in path or len(path) > MAX_PARAMETERS:
        parsed_path(request)
        parsed_query(request)


def parsed_path(request: Request) -> list[str]:
    """Return `input.parsed_path`; raises `ParseError`."""
    return unescape(request.path.partition("?")[0]).lstrip("/").split("/")


def parsed_query(request: Request) -> dict[str, list[str]]:
    """Return `input.parsed_query`; raises `ParseError`."""
    return parse_query(request.path.partition("?")[2])


def attributes(request: Request, *names: str) -> dict[str, Any]:
    """Return `input.attributes`, or those of its members that are named."""
    found = request.attributes(*names)
    for name in _METADATA:  # only these may hold fractions, and have to be made values
        if name in found:
            found[name] = from_python(found[name])
    return found


def body(request: Request, descriptor: ProtoDescriptor | None) -> dict[str, Any]:
    """Return `input.parsed_body` and `input.truncated_body`; raises `ParseError`."""
    parsed, truncated = opa_body.parse(request, parsed_path(request), descriptor)
    return {"parsed_body": parsed, "truncated_body": truncated}


class Identities(Generic[Made]):
    """What is made of those who asked lately: a token is verified once, and so its claims are made values once.

    An entry holds its `Identity`, so that an `id` that is found here is still the one that was meant.
    """

    def __init__(self, make: Callable[[Identity], Made], max_entries: int = 4096) -> None:
        self._make = make
        self._max_entries = max_entries
        self._entries: dict[int, tuple[Identity, Made]] = {}

    def __call__(self, identity: Identity) -> Made:
        found = self._entries.get(id(identity))
        if found is not None:
            return found[1]
        if len(self._entries) >= self._max_entries:
            self._entries.clear()
        made = self._make(identity)
        self._entries[id(identity)] = identity, made
        return made


IDENTITY: Final[Mapping[str, Callable[[Identity], Value]]] = {
    "subject": attrgetter("subject"),
    "issuer": attrgetter("issuer"),
    "kind": attrgetter("kind"),
    "claims": lambda identity: from_python(dict(identity.claims)),
    "expires_at": lambda identity: from_python(identity.expires_at),
    "scopes": lambda identity: from_python(identity.scopes),
    "roles": lambda identity: from_python(identity.roles),
    "groups": lambda identity: from_python(identity.groups),
}
"""The members of `input.identity`, and what makes each."""


def of_identity(identity: Identity, members: Mapping[str, Callable[[Identity], Value]] = IDENTITY) -> Value:
    """Return `input.identity`, or those of its members that are given with what makes them."""
    return {name: make(identity) for name, make in members.items()}


def claims_named(names: Iterable[str]) -> Callable[[Identity], Value]:
    """Return what makes `claims` with no others than these."""
    wanted = tuple(names)

    def make(identity: Identity) -> Value:
        claims = identity.claims
        return {name: from_python(claims[name]) for name in wanted if name in claims}

    return make
