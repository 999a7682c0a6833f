"""Protected resource metadata (RFC 9728): how an OAuth client that was refused learns where to get a token.

    GET https://api.example/orders                                        401, resource_metadata="https://api.example/…"
    GET https://api.example/.well-known/oauth-protected-resource/orders   200, the document

The document is answered in the place of the upstream, through the gateway: a resource's metadata has to come from its
own origin, and so nothing has to be routed.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct
from pydantic import field_validator

from ztag_extauthz.hosts import is_loopback
from ztag_extauthz.model import Pairs, Request
from ztag_extauthz.section import Section

WELL_KNOWN = "/.well-known/oauth-protected-resource"
_DEFAULT_PORTS = {"https": ":443", "http": ":80"}
_PATH = re.compile(r"[A-Za-z0-9._~!$&'()*+,=:@/-]*")
_SCHEME = re.compile(r"(^|, )(Bearer|DPoP) (?=[a-z_]+=)")
"""Where a challenge of those schemes begins in a field that may have several."""


class ProtectedResourceSettings(Section):
    """Something behind Envoy that OAuth clients can find out about (RFC 9728)."""

    resource: str
    """Its identifier, as clients call it: `https://api.example`, or with a path that all its own begin with."""
    authorization_servers: tuple[str, ...] = ()
    """Issuers whose tokens it takes; left out: those of the kinds `jwt` and `introspection`."""
    scopes_supported: tuple[str, ...] = ()
    """Scopes that a client may have to ask for."""
    name: str | None = None
    """What people call it."""
    documentation: str | None = None
    """Address of a page for developers."""
    dpop_required: bool = False
    """Say that tokens have to be bound by DPoP (`dpop.required` is what refuses others)."""
    certificate_required: bool = False
    """Say that tokens have to be bound to the client's certificate (RFC 8705)."""

    @field_validator("resource")
    @classmethod
    def _is_identifier(cls, resource: str) -> str:
        try:
            parts = urlsplit(resource)
            host, _ = parts.hostname or "", parts.port
        except ValueError:
            raise ValueError("is no address\nwrite https://api.example") from None
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
            raise ValueError("is no https address\nwrite https://api.example")
        if not host or "@" in parts.netloc or parts.query or parts.fragment or not _PATH.fullmatch(parts.path):
            raise ValueError("has a user, a query, a fragment or an escape\nwrite https://api.example/orders")
        return resource


class _Resource(Struct, frozen=True):
    host: str
    path: str
    """Without a slash at its end."""
    address: str
    """Of its metadata."""
    document: bytes

    def has(self, path: str) -> bool:
        return f"{path}/".startswith(f"{self.path}/")


class ProtectedResources:
    """All that the settings name, the longest path first."""

    def __init__(self, settings: Sequence[ProtectedResourceSettings], common: Mapping[str, Any]) -> None:
        """Make the documents; `common` has the members of those that do not say otherwise."""
        resources = (_resource(one, common) for one in settings)
        self._resources = sorted(resources, key=lambda one: len(one.path), reverse=True)

    def __len__(self) -> int:
        return len(self._resources)

    @property
    def largest(self) -> int:
        """Bytes of the largest document; 0 where there is none."""
        return max((len(one.document) for one in self._resources), default=0)

    def document(self, request: Request) -> bytes | None:
        """Return the metadata that a request asks for, None where it asks for something else."""
        path = request.path.partition("?")[0].rstrip("/")
        if not path.startswith(WELL_KNOWN) or request.method not in {"GET", "HEAD"}:
            return None
        wanted = path.removeprefix(WELL_KNOWN)
        return next((one.document for one in self._of(request) if one.path == wanted), None)

    def told(self, request: Request, headers: Pairs) -> Pairs:
        """Return a refusal's headers, with the address of the metadata in each challenge of Bearer and DPoP."""
        if not self._resources:
            return headers
        path = request.path.partition("?")[0]
        found = next((one for one in self._of(request) if one.has(path)), None)
        if found is None:
            return headers
        parameter = rf'\1\2 resource_metadata="{found.address}", '
        return tuple((name, _SCHEME.sub(parameter, value) if _wants(name, value) else value) for name, value in headers)

    def _of(self, request: Request) -> list[_Resource]:
        host = _host(request.host, request.scheme)
        return [one for one in self._resources if one.host == host]


def _wants(name: str, value: str) -> bool:
    return name.lower() == "www-authenticate" and "resource_metadata=" not in value


def _host(host: str, scheme: str) -> str:
    """Return a host's one spelling. Where TLS ends before Envoy the scheme is another than the client's."""
    plain = host.lower()
    for port in (_DEFAULT_PORTS.get(scheme, ""), _DEFAULT_PORTS["https"]):
        plain = plain.removesuffix(port) if port else plain
    return plain


def _resource(settings: ProtectedResourceSettings, common: Mapping[str, Any]) -> _Resource:
    parts = urlsplit(settings.resource)
    path = parts.path.rstrip("/")
    members = {
        "resource": settings.resource,
        "authorization_servers": settings.authorization_servers,
        "scopes_supported": settings.scopes_supported,
        "resource_name": settings.name,
        "resource_documentation": settings.documentation,
        "dpop_bound_access_tokens_required": settings.dpop_required,
        "tls_client_certificate_bound_access_tokens": settings.certificate_required,
    }
    document = {**common, **{name: value for name, value in members.items() if value}}
    return _Resource(
        _host(parts.netloc, parts.scheme),
        path,
        f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{path}",
        json.dumps(document).encode(),
    )
