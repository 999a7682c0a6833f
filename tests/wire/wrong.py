"""Each pitfall by itself: objects that are valid and do not do what was meant."""

from typing import Any

from tests.wire.right import (
    AMBIENT,
    EXT_AUTHZ,
    FILTER,
    HTTP2,
    MESH,
    PATCH,
    POLICY,
    REFERENCE,
    RULE,
    SECURITY,
    SERVICE,
    STRICT,
    TARGETS,
    changed,
    envoy,
    mesh,
    policy,
    source,
    thing,
    waypoint,
)
from ztag_extauthz.wire.pitfalls import Level

# What is wrong → the objects, how bad it is, what the message has to say.
WRONG: dict[str, tuple[list[dict[str, Any]], Level, str]] = {
    "short service name": (mesh("service", "ztag"), Level.ERROR, "write ztag.NAMESPACE.svc.cluster.local"),
    "no port": (mesh("port"), Level.ERROR, "write the Service's port"),
    "target port": (mesh("port", 50051), Level.ERROR, "it has 9191"),
    "unset timeout": (mesh("timeout"), Level.ERROR, "default is 600 s (write 0.5s)"),
    "timeout of zero": (mesh("timeout", "0s"), Level.ERROR, "write 0.5s or 250ms"),
    "timeout without a unit": (mesh("timeout", 5), Level.ERROR, "write 0.5s or 250ms"),
    "long timeout": (mesh("timeout", "1m"), Level.WARNING, "60 s for a check"),
    "unset status": (mesh("statusOnError"), Level.WARNING, 'write "503"'),
    "unknown status": (mesh("statusOnError", "599"), Level.ERROR, 'write "503"'),
    "status as a number": (mesh("statusOnError", 503), Level.ERROR, 'write "503"'),
    "no labels": (policy("spec.selector", {"matchLabels": {}}), Level.WARNING, "every workload of the namespace"),
    "path that is none": (
        policy("spec.rules", [{"to": [{"operation": {"notPaths": ["healthz"]}}]}]),
        Level.ERROR,
        "write /healthz",
    ),
    "envoy waits long": (
        envoy("static_resources.listeners.0.filter.grpc_service.timeout", "60s"),
        Level.WARNING,
        "0.25s",
    ),
    "nothing to check": ([{"kind": "Secret"}], Level.WARNING, "holds nothing that is checked"),
    "fail open": (mesh("failOpen", value=True), Level.WARNING, "leave it out"),
    "route cache": (mesh("clearRouteCache", value=True), Level.WARNING, "by an EnvoyFilter"),
    "body without a limit": (mesh("includeRequestBodyInCheck", {}), Level.ERROR, "e.g. 8192"),
    "body that is refused": (
        mesh("includeRequestBodyInCheck", {"maxRequestBytes": 9}),
        Level.WARNING,
        "set allowPartialMessage: true",
    ),
    "provider over http": (
        [
            {
                "extensionProviders": [
                    {"name": "z", "envoyExtAuthzHttp": MESH["extensionProviders"][0]["envoyExtAuthzGrpc"]}
                ]
            }
        ],
        Level.ERROR,
        "use envoyExtAuthzGrpc",
    ),
    "name in capitals": ([changed(MESH, "extensionProviders.0.name", "Ztag")], Level.ERROR, "lower-case letters"),
    "port of http/1.1": (
        [MESH, changed(SERVICE, "spec.ports.0.name", "check")],
        Level.ERROR,
        "set appProtocol: grpc",
    ),
    "missing provider": (policy("spec.provider.name", "zta"), Level.ERROR, "name one of: ztag"),
    "provider nobody named": (policy("spec.provider", {}), Level.ERROR, "name one of: ztag"),
    "no mesh config": ([POLICY], Level.WARNING, "give the file of MeshConfig too"),
    "provider without custom": (policy("spec.action", "ALLOW"), Level.ERROR, "set action: CUSTOM"),
    "no rules": (policy("spec.rules"), Level.ERROR, "write rules: [{}]"),
    "principals": (source(principals=["a"]), Level.ERROR, "input.source_principal"),
    "not namespaces": (source(notNamespaces=["a"]), Level.ERROR, "input.source_principal"),
    "service accounts": (source(serviceAccounts=["a"]), Level.ERROR, "input.source_principal"),
    "claims": (
        policy("spec.rules", [{"when": [{"key": "request.auth.claims[groups]", "values": ["a"]}]}]),
        Level.ERROR,
        "input.identity",
    ),
    "selector and target": (policy("spec.targetRefs", TARGETS[:1]), Level.ERROR, "selector for sidecars"),
    "too many targets": (policy("spec.targetRefs", TARGETS), Level.ERROR, "write several policies"),
    "asks itself": (
        [MESH, SERVICE, thing("AuthorizationPolicy", "ztag-system", {**POLICY["spec"], "selector": {}})],
        Level.ERROR,
        '{ztag.dev/enforced: "true"}',
    ),
    "asks itself, mesh-wide": (
        [MESH, SERVICE, thing("AuthorizationPolicy", "istio-system", {**POLICY["spec"], "selector": {}})],
        Level.ERROR,
        '{ztag.dev/enforced: "true"}',
    ),
    "asks itself, by label": (
        [
            MESH,
            SERVICE,
            changed(changed(POLICY, "metadata.namespace", "ztag-system"), "spec.selector.matchLabels.app", "ztag"),
        ],
        Level.ERROR,
        '{ztag.dev/enforced: "true"}',
    ),
    "dry run": (
        policy("metadata.annotations", {"istio.io/dry-run": "true"}),
        Level.ERROR,
        "use dry_run: true of ztag's rego authorizer",
    ),
    "two providers": (
        [MESH, POLICY, changed(changed(POLICY, "spec.provider.name", "other"), "metadata.name", "y")],
        Level.ERROR,
        "PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS",
    ),
    "ambient by selector": ([MESH, AMBIENT, POLICY], Level.ERROR, "set targetRefs to the Service"),
    "waypoint passed by": ([MESH, waypoint("Service")], Level.WARNING, "the waypoint's service account"),
    "plain text to strict": (
        [MESH, STRICT, changed(RULE, "spec.trafficPolicy.tls.mode", "DISABLE")],
        Level.ERROR,
        "set ISTIO_MUTUAL",
    ),
    "plain text": ([MESH, changed(RULE, "spec.trafficPolicy.tls.mode", "DISABLE")], Level.WARNING, "ISTIO_MUTUAL"),
    "a connection a check": (
        [MESH, changed(RULE, "spec.trafficPolicy.connectionPool.http", {"maxRequestsPerConnection": 1})],
        Level.WARNING,
        "leave it out",
    ),
    "few streams": (
        [MESH, changed(RULE, "spec.trafficPolicy.connectionPool.http", {"maxConcurrentStreams": 8})],
        Level.WARNING,
        "leave it out",
    ),
    "filter of its own": (
        [MESH, changed(PATCH, "spec.configPatches.0.patch.operation", "INSERT_BEFORE")],
        Level.WARNING,
        "use operation: MERGE",
    ),
    "patched itself": (
        [MESH, changed(changed(PATCH, "spec.workloadSelector"), "metadata.namespace", "istio-system")],
        Level.ERROR,
        "add a workloadSelector",
    ),
    "gateway without a timeout": ([changed(SECURITY, "spec.extAuth.timeout")], Level.ERROR, "write 500ms"),
    "gateway that waits": ([changed(SECURITY, "spec.extAuth.timeout", "30s")], Level.WARNING, "write 500ms"),
    "gateway that opens": ([changed(SECURITY, "spec.extAuth.failOpen", value=True)], Level.WARNING, "leave it out"),
    "gateway's status": ([changed(SECURITY, "spec.extAuth.statusOnError")], Level.WARNING, "write 503"),
    "gateway over http": ([changed(SECURITY, "spec.extAuth.http", {})], Level.ERROR, "use extAuth.grpc"),
    "gateway of nothing": ([changed(SECURITY, "spec.targetRefs")], Level.ERROR, "name a Gateway or a route"),
    "gateway without a port": (
        [changed(SECURITY, "spec.extAuth.grpc.backendRefs.0.port")],
        Level.ERROR,
        "write the Service's port: 9191",
    ),
    "gateway without a grant": (
        [changed(SECURITY, "spec.extAuth.grpc.backendRefs.0", REFERENCE)],
        Level.ERROR,
        "add a ReferenceGrant",
    ),
    "envoy over http": (envoy(FILTER + "http_service", {}), Level.ERROR, "use grpc_service"),
    "envoy of old": (envoy(FILTER + "transport_api_version"), Level.ERROR, "transport_api_version: V3"),
    "envoy that opens": (envoy(FILTER + "failure_mode_allow", value=True), Level.WARNING, "leave it out"),
    "envoy's status": (envoy(FILTER + "status_on_error"), Level.WARNING, "set {code: 503}"),
    "envoy's route cache": (envoy(FILTER + "clear_route_cache", value=True), Level.WARNING, "make every route"),
    "envoy's body": (envoy(FILTER + "with_request_body", {}), Level.WARNING, "allow_partial_message: true"),
    "no such cluster": (
        envoy(FILTER + "grpc_service.envoy_grpc.cluster_name", "ztga"),
        Level.ERROR,
        "there are: ztag",
    ),
    "cluster of http/1.1": (envoy(HTTP2 + ".http2_protocol_options"), Level.ERROR, "http2_protocol_options"),
    "cluster of few streams": (
        envoy(HTTP2 + ".http2_protocol_options", {"max_concurrent_streams": 4}),
        Level.WARNING,
        "one endpoint a worker",
    ),
    "paths as they come": (
        envoy("static_resources.listeners.0.normalize_path"),
        Level.WARNING,
        "set normalize_path: true",
    ),
    "slashes as they come": (
        envoy("static_resources.listeners.0.path_with_escaped_slashes_action"),
        Level.WARNING,
        "REJECT_REQUEST",
    ),
    "route that does not ask": (
        envoy(
            "static_resources.listeners.0.route.typed_per_filter_config",
            {"x": {"@type": EXT_AUTHZ + "PerRoute", "disabled": True}},
        ),
        Level.WARNING,
        "not asked about",
    ),
}
