"""Objects that make Envoys ask ztag as they should be, and what changes them."""

from copy import deepcopy
from typing import Any

import yaml

MESH: dict[str, Any] = {
    "extensionProviders": [
        {
            "name": "ztag",
            "envoyExtAuthzGrpc": {
                "service": "ztag.ztag-system.svc.cluster.local",
                "port": 9191,
                "timeout": "0.5s",
                "statusOnError": "503",
            },
        }
    ]
}
GRPC = "extensionProviders.0.envoyExtAuthzGrpc."


def thing(kind: str, namespace: str, spec: dict[str, Any], name: str = "x", **metadata: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace, **metadata}, "spec": spec}


POLICY = thing(
    "AuthorizationPolicy",
    "shop",
    {
        "selector": {"matchLabels": {"app": "orders"}},
        "action": "CUSTOM",
        "provider": {"name": "ztag"},
        "rules": [{"to": [{"operation": {"notPaths": ["/healthz"]}}]}],
    },
)
SERVICE = thing(
    "Service",
    "ztag-system",
    {"selector": {"app": "ztag"}, "ports": [{"name": "grpc", "port": 9191, "targetPort": 9191}]},
    name="ztag",
)
SECURITY = thing(
    "SecurityPolicy",
    "ztag-system",
    {
        "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge"}],
        "extAuth": {
            "timeout": "500ms",
            "statusOnError": 503,
            "grpc": {"backendRefs": [{"name": "ztag", "port": 9191}]},
        },
    },
)
RULE = thing(
    "DestinationRule",
    "ztag-system",
    {
        "host": "ztag.ztag-system.svc.cluster.local",
        "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}, "connectionPool": {"http": {}}},
    },
)
PATCH = thing(
    "EnvoyFilter",
    "shop",
    {
        "workloadSelector": {"labels": {"app": "orders"}},
        "configPatches": [
            {"patch": {"operation": "MERGE", "value": {"name": "envoy.filters.http.ext_authz", "typed_config": {}}}}
        ],
    },
)
STRICT = thing("PeerAuthentication", "ztag-system", {"mtls": {"mode": "STRICT"}})
EXT_AUTHZ = "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz"
MANAGER = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ENVOY: dict[str, Any] = {
    "static_resources": {
        "listeners": [
            {
                "@type": MANAGER,
                "normalize_path": True,
                "path_with_escaped_slashes_action": "REJECT_REQUEST",
                "filter": {
                    "@type": EXT_AUTHZ,
                    "transport_api_version": "V3",
                    "status_on_error": {"code": 503},
                    "grpc_service": {"envoy_grpc": {"cluster_name": "ztag"}},
                },
                "route": {"typed_per_filter_config": {}},
            }
        ],
        "clusters": [
            {
                "name": "ztag",
                "typed_extension_protocol_options": {
                    "options": {"explicit_http_config": {"http2_protocol_options": {}}}
                },
            }
        ],
    }
}
FILTER = "static_resources.listeners.0.filter."
CLUSTER = "static_resources.clusters.0."
HTTP2 = f"{CLUSTER}typed_extension_protocol_options.options.explicit_http_config"


def changed(document: dict[str, Any], path: str, value: Any = None) -> dict[str, Any]:
    """Return the document with a value put at a path, or taken away if there is none."""
    result = deepcopy(document)
    *steps, last = [int(step) if step.isdecimal() else step for step in path.split(".")]
    place: Any = result
    for step in steps:
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return result


def mesh(path: str, value: Any = None) -> list[dict[str, Any]]:
    return [changed(MESH, GRPC + path, value), POLICY, SERVICE]


def policy(path: str, value: Any = None) -> list[dict[str, Any]]:
    return [MESH, SERVICE, changed(POLICY, path, value)]


def source(**fields: list[str]) -> list[dict[str, Any]]:
    return policy("spec.rules", [{"from": [{"source": fields}]}])


def envoy(path: str, value: Any = None) -> list[dict[str, Any]]:
    return [changed(ENVOY, path, value)]


def waypoint(kind: str) -> dict[str, Any]:
    targets = {"targetRefs": [{"kind": kind, "name": "x"}], "action": "CUSTOM", "provider": {"name": "ztag"}}
    return thing("AuthorizationPolicy", "shop", {**targets, "rules": [{}]})


AMBIENT = thing("Namespace", "", {}, name="shop", labels={"istio.io/dataplane-mode": "ambient"})
ONLY_WAYPOINT = thing(
    "AuthorizationPolicy",
    "shop",
    {"rules": [{"from": [{"source": {"principals": ["cluster.local/ns/shop/sa/waypoint"]}}]}]},
)
TARGETS = [{"kind": "Gateway", "name": str(number)} for number in range(17)]
REFERENCE = {"name": "ztag", "port": 9191, "namespace": "security"}

RIGHT: dict[str, list[dict[str, Any]]] = {
    "istio": [MESH, POLICY, SERVICE, RULE, STRICT, PATCH],
    "a config map": [thing("ConfigMap", "istio-system", {}) | {"data": {"mesh": yaml.safe_dump(MESH)}}, POLICY],
    "an operator": [thing("IstioOperator", "istio-system", {"meshConfig": MESH}), POLICY],
    "a waypoint": [MESH, AMBIENT, waypoint("Service"), ONLY_WAYPOINT],
    "gateway": [SECURITY],
    "envoy": [ENVOY],
    "a list": [{"kind": "List", "items": [POLICY]}, MESH],
    "somebody else's": [thing("AuthorizationPolicy", "shop", {"rules": [{}]}), {"kind": "Secret"}],
}
