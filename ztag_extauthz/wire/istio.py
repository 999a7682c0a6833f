"""Istio's objects that make a mesh ask ztag, for the settings in force.

Rules
1. Fail closed, quickly, and to be told from a denial: 0.5 s (Istio's default is 600) and 503.
2. Only workloads that are selected are asked about, and never ztag's own pods.
3. What CUSTOM does not do, a policy beside it does: nobody gets around a waypoint.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from msgspec import Struct, field

from ztag_extauthz.errors import Mistake, SettingsError
from ztag_extauthz.settings import Settings
from ztag_extauthz.settings.addresses import UNIX, split_address
from ztag_extauthz.wire.manifests import section

Object = dict[str, Any]
EXT_AUTHZ = "envoy.filters.http.ext_authz"
NAMES = frozenset({"audiences", "origins", "speaks_for"})
"""Settings whose addresses are names that nobody asks."""
POD_LABELS: Mapping[str, str] = {"app.kubernetes.io/name": "ztag"}


class MeshWishes(Struct, frozen=True, kw_only=True):
    """What the mesh's side wants and ztag's settings do not say."""

    service: str = "ztag.ztag-system.svc.cluster.local"
    """The whole name of ztag's Service."""
    provider: str = "ztag"
    namespace: str = "default"
    """The namespace whose workloads are asked about."""
    selector: Mapping[str, str] = field(default_factory=lambda: {"ztag.dev/enforced": "true"})
    mode: Literal["sidecar", "ambient"] = "sidecar"
    waypoint: str = "waypoint"
    """Ambient: the waypoint's Gateway, which is its service account too."""
    timeout: float = 0.5
    excluded_paths: tuple[str, ...] = ("/healthz",)
    body_bytes: int = 0
    peer_certificate: bool = False
    """Send the caller's certificate, which an extension provider cannot ask for."""


def mesh_config(settings: Settings, wishes: MeshWishes) -> Object:
    """Return what belongs into MeshConfig. Raises `SettingsError` where Istio cannot reach these settings' listener."""
    asked: Object = {
        "service": wishes.service,
        "port": _port(settings),
        "timeout": f"{wishes.timeout:g}s",
        "statusOnError": "503",
    }
    if wishes.body_bytes:
        asked["includeRequestBodyInCheck"] = {
            "maxRequestBytes": wishes.body_bytes,
            "allowPartialMessage": True,
            "packAsBytes": True,
        }
    return {"extensionProviders": [{"name": wishes.provider, "envoyExtAuthzGrpc": asked}]}


def objects(settings: Settings, wishes: MeshWishes) -> tuple[Object, ...]:
    """Return the objects beside it. Raises `SettingsError` as `mesh_config` does."""
    _port(settings)
    return tuple(_objects(settings, wishes))


def _objects(settings: Settings, wishes: MeshWishes) -> Iterator[Object]:
    yield _custom(wishes)
    if wishes.mode == "ambient":
        yield _through_waypoint(wishes)
    if wishes.peer_certificate:
        yield _peer_certificate(wishes)
    yield _strict(wishes)
    yield _destination(wishes)
    yield from (_identity_provider(host, port, wishes) for host, port in sorted(issuers(settings)))


def labels(text: str) -> dict[str, str]:
    """Return the labels of `key=value,key=value`. Raises `SettingsError`: without any, every workload is meant."""
    pairs = [pair.strip().partition("=") for pair in text.split(",")]
    if wrong := ["".join(pair) for pair in pairs if not pair[0] or not pair[2]]:
        what = f"{', '.join(map(repr, wrong))} is no label"
        raise SettingsError((Mistake("--selector", what, "write key=value,key=value"),))
    return {key: value for key, _, value in pairs}


def issuers(settings: Settings) -> set[tuple[str, int]]:
    """Return host and port of every https address that ztag asks: where keys come from."""
    urls = {text for text in _texts(settings.model_dump(mode="json")) if text.startswith("https://")}
    parts = [urlsplit(url) for url in urls]
    return {(part.hostname, part.port or 443) for part in parts if part.hostname}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        keys = section(value.get("jwks"))
        # An issuer is a name; it is asked for its keys only where nothing says that they are somewhere else.
        elsewhere = {"issuer"} if keys.get("file") or keys.get("url") else set()
        for name, entry in value.items():
            if name not in NAMES | elsewhere:
                yield from _texts(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from _texts(entry)


def _port(settings: Settings) -> int:
    address = split_address(settings.listen.grpc)
    if settings.listen.tls is not None:
        remedy = "leave it out and set listen.insecure_plaintext: the mesh encrypts and authenticates the hop"
        raise SettingsError((Mistake("listen.tls", "an extension provider speaks the mesh's own mTLS", remedy),))
    if settings.listen.grpc.startswith(UNIX) or address is None:
        remedy = "listen on 0.0.0.0:9191"
        raise SettingsError((Mistake("listen.grpc", "a Service cannot lead to a UNIX socket", remedy),))
    if settings.server.workers > 1:
        remedy = "leave it at 1 and run more pods"
        raise SettingsError((Mistake("server.workers", "a provider names one port, each worker has its own", remedy),))
    return address[1]


def _object(api_version: str, kind: str, name: str, namespace: str, spec: Object) -> Object:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}


def _attached(wishes: MeshWishes) -> Object:
    if wishes.mode == "ambient":
        reference = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": wishes.waypoint}
        return {"targetRefs": [reference]}
    return {"selector": {"matchLabels": dict(wishes.selector)}}


def _custom(wishes: MeshWishes) -> Object:
    excluded = list(wishes.excluded_paths)
    if wrong := [path for path in excluded if not path.startswith("/")]:
        what = f"{', '.join(map(repr, wrong))} does not begin with /"
        raise SettingsError((Mistake("--exclude", what, "write the whole path, e.g. /healthz"),))
    rule: Object = {"to": [{"operation": {"notPaths": excluded}}]} if excluded else {}
    spec = {**_attached(wishes), "action": "CUSTOM", "provider": {"name": wishes.provider}, "rules": [rule]}
    return _object("security.istio.io/v1", "AuthorizationPolicy", "ztag", wishes.namespace, spec)


def _through_waypoint(wishes: MeshWishes) -> Object:
    principal = f"cluster.local/ns/{wishes.namespace}/sa/{wishes.waypoint}"
    spec = {
        "selector": {"matchLabels": dict(wishes.selector)},
        "action": "ALLOW",
        "rules": [{"from": [{"source": {"principals": [principal]}}]}],
    }
    return _object("security.istio.io/v1", "AuthorizationPolicy", "ztag-through-waypoint", wishes.namespace, spec)


def _peer_certificate(wishes: MeshWishes) -> Object:
    if wishes.mode == "ambient":
        remedy = "leave --peer-certificate out; bind tokens by DPoP instead"
        raise SettingsError((Mistake("--peer-certificate", "a waypoint never sees the caller's certificate", remedy),))
    config = {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
        "include_peer_certificate": True,
        "include_tls_session": True,
    }
    match = {
        "context": "SIDECAR_INBOUND",
        "listener": {
            "filterChain": {
                "filter": {"name": "envoy.filters.network.http_connection_manager", "subFilter": {"name": EXT_AUTHZ}}
            }
        },
    }
    patch = {"operation": "MERGE", "value": {"name": EXT_AUTHZ, "typed_config": config}}
    spec = {
        "workloadSelector": {"labels": dict(wishes.selector)},
        "configPatches": [{"applyTo": "HTTP_FILTER", "match": match, "patch": patch}],
    }
    return _object("networking.istio.io/v1alpha3", "EnvoyFilter", "ztag", wishes.namespace, spec)


def _own(wishes: MeshWishes) -> tuple[str, str]:
    """Return name and namespace of ztag's Service."""
    parts = wishes.service.split(".")
    if len(parts) < 3:
        what = f"{wishes.service!r} is a short name, which Istio does not resolve"
        raise SettingsError((Mistake("--service", what, f"write {parts[0]}.NAMESPACE.svc.cluster.local"),))
    return parts[0], parts[1]


def _strict(wishes: MeshWishes) -> Object:
    name, namespace = _own(wishes)
    spec = {"selector": {"matchLabels": dict(POD_LABELS)}, "mtls": {"mode": "STRICT"}}
    return _object("security.istio.io/v1", "PeerAuthentication", name, namespace, spec)


def _destination(wishes: MeshWishes) -> Object:
    name, namespace = _own(wishes)
    policy = {
        "tls": {"mode": "ISTIO_MUTUAL"},
        "loadBalancer": {"simple": "LEAST_REQUEST"},
        "connectionPool": {"tcp": {"connectTimeout": "0.25s"}, "http": {"http2MaxRequests": 1024}},
        "outlierDetection": {"consecutiveGatewayErrors": 5, "interval": "5s", "baseEjectionTime": "10s"},
    }
    spec = {"host": wishes.service, "trafficPolicy": policy}
    return _object("networking.istio.io/v1", "DestinationRule", name, namespace, spec)


def _identity_provider(host: str, port: int, wishes: MeshWishes) -> Object:
    name, namespace = _own(wishes)
    spec = {
        "hosts": [host],
        "exportTo": ["."],
        "location": "MESH_EXTERNAL",
        "resolution": "DNS",
        "ports": [{"number": port, "name": "tls", "protocol": "TLS"}],
    }
    return _object("networking.istio.io/v1", "ServiceEntry", f"{name}-{host.replace('.', '-')}"[:60], namespace, spec)
