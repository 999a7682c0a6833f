"""Envoy Gateway's objects that make it ask ztag, for the settings in force."""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from ztag_extauthz.errors import Mistake, SettingsError
from ztag_extauthz.settings import Settings
from ztag_extauthz.settings.addresses import UNIX, split_address

Object = dict[str, Any]


class GatewayWishes(Struct, frozen=True, kw_only=True):
    """What Envoy Gateway's side wants and ztag's settings do not say."""

    target: str = "Gateway/edge"
    """KIND/NAME of the Gateway or route that asks."""
    namespace: str = "default"
    """Its namespace."""
    service: str = "ztag"
    service_namespace: str = "ztag-system"
    timeout_ms: int = 500
    body_bytes: int = 0


def objects(settings: Settings, wishes: GatewayWishes) -> tuple[Object, ...]:
    """Return the objects. Raises `SettingsError` where a Gateway cannot reach these settings' listener."""
    return tuple(_objects(settings, _port(settings), wishes))


def _objects(settings: Settings, port: int, wishes: GatewayWishes) -> Iterator[Object]:
    yield _policy(port, wishes)
    if wishes.namespace != wishes.service_namespace:
        yield _grant(wishes)
    if settings.listen.tls is not None:
        yield _tls(wishes)


def _port(settings: Settings) -> int:
    address = split_address(settings.listen.grpc)
    if settings.listen.grpc.startswith(UNIX) or address is None:
        remedy = "listen on 0.0.0.0:9191"
        raise SettingsError((Mistake("listen.grpc", "a Service cannot lead to a UNIX socket", remedy),))
    return address[1]


def _policy(port: int, wishes: GatewayWishes) -> Object:
    kind, _, name = wishes.target.partition("/")
    if not name:
        raise SettingsError((Mistake("--target", f"{wishes.target!r} names no object", "write Gateway/edge"),))
    backend = {"name": wishes.service, "namespace": wishes.service_namespace, "port": port}
    asked: Object = {
        "timeout": f"{wishes.timeout_ms}ms",
        "statusOnError": 503,
        "failOpen": False,
        "grpc": {"backendRefs": [backend]},
    }
    if wishes.body_bytes:
        asked["bodyToExtAuth"] = {"maxRequestBytes": wishes.body_bytes}
    target = {"group": "gateway.networking.k8s.io", "kind": kind, "name": name}
    spec = {"targetRefs": [target], "extAuth": asked}
    return _object("gateway.envoyproxy.io/v1alpha1", "SecurityPolicy", wishes.service, wishes.namespace, spec)


def _grant(wishes: GatewayWishes) -> Object:
    spec = {
        "from": [{"group": "gateway.envoyproxy.io", "kind": "SecurityPolicy", "namespace": wishes.namespace}],
        "to": [{"group": "", "kind": "Service", "name": wishes.service}],
    }
    return _object("gateway.networking.k8s.io/v1", "ReferenceGrant", wishes.service, wishes.service_namespace, spec)


def _tls(wishes: GatewayWishes) -> Object:
    host = f"{wishes.service}.{wishes.service_namespace}.svc.cluster.local"
    spec = {
        "targetRefs": [{"group": "", "kind": "Service", "name": wishes.service, "sectionName": "grpc"}],
        "validation": {
            "hostname": host,
            "caCertificateRefs": [{"group": "", "kind": "Secret", "name": f"{wishes.service}-tls"}],
        },
    }
    return _object("gateway.networking.k8s.io/v1", "BackendTLSPolicy", wishes.service, wishes.service_namespace, spec)


def _object(api_version: str, kind: str, name: str, namespace: str, spec: Object) -> Object:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}
