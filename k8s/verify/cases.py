"""The values that the chart is rendered with: one case for each choice that an operator has, and some together."""

from typing import Any

Values = dict[str, Any]

ISTIO: Values = {
    "enabled": True,
    "protect": [
        {
            "name": "orders",
            "namespace": "shop",
            "selector": {"app": "orders"},
            "notPaths": ["/healthz"],
            "allow": [{"principals": ["cluster.local/ns/shop/sa/frontend"], "methods": ["GET"], "paths": ["/orders*"]}],
        }
    ],
    "denyByDefault": ["shop"],
}
GATEWAY_REF = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge"}
EDGE: Values = {"name": "edge", "namespace": "edge", "targetRefs": [GATEWAY_REF]}
AMBIENT: Values = {
    "enabled": True,
    "mode": "ambient",
    "protect": [
        {
            "name": "orders",
            "namespace": "shop",
            "targetRefs": [{"group": "", "kind": "Service", "name": "orders"}],
            "waypoint": {"serviceAccount": "waypoint", "workloads": {"app": "orders"}},
        }
    ],
}
JWT: Values = {
    "kind": "jwt",
    "issuer": "https://issuer.example",
    "audiences": ["mesh"],
    "algorithms": ["RS256"],
}
REGO: Values = {"kind": "rego", "policies": ["/etc/ztag/policies"], "decision": "envoy/authz/result"}
STORE = {"credentialsSecret": "redis-user", "tlsSecret": "redis-tls"}
BUNDLE = {"url": "https://bundles.example/authz.tar.gz", "sha256": "0" * 64}
REVOCATION: Values = {
    "redis": {"folder": "/etc/ztag/redis"},
    "secret_file": "/etc/ztag/secrets/revocation/secret",
    "operators": [{"name": "oncall", "token_file": "/etc/ztag/secrets/revocation/oncall"}],
}
MTLS = {"allowedClients": ["spiffe://mesh.example/ns/edge/sa/envoy"]}


def filtered(**filters: bool) -> Values:
    return {"istio": {**ISTIO, "filter": filters}}


RIGHT: dict[str, Values] = {
    "defaults": {},
    "jwt": {"config": {"authentication": [JWT, {"kind": "anonymous"}], "authorization": [REGO]}},
    "grpcio": {"config": {"server": {"engine": "grpcio", "drain_timeout": 45.5}}},
    "pinned image": {"image": {"digest": "sha256:" + "a" * 64, "pullSecrets": ["pull"]}},
    "fixed size": {"autoscaling": {"enabled": False}, "replicas": 5, "podDisruptionBudget": {"enabled": False}},
    "scaled by pods' rate": {"autoscaling": {"requestsPerSecond": {"source": "pods"}}},
    "scaled by an external rate": {"autoscaling": {"requestsPerSecond": {"source": "external", "target": 5000}}},
    "mtls from a secret": {"tls": {"mode": "secret", "secretName": "ztag-tls", **MTLS}},
    "mtls from cert-manager": {"tls": {"mode": "certManager", "certManager": {"issuerRef": {"name": "ca"}}, **MTLS}},
    "mtls from spiffe": {"tls": {"mode": "spiffe", **MTLS}, "spire": {"enabled": True, "className": "mesh"}},
    "own ports": {"service": {"port": 9000, "adminPort": 9001, "trafficDistribution": "", "annotations": {"a": "b"}}},
    "headless": {"service": {"headless": True}},
    "service account token": {"serviceAccount": {"tokenAudience": "vault", "annotations": {"team": "security"}}},
    "somebody else's service account": {"serviceAccount": {"create": False, "name": "shared"}},
    "existing policies": {"policy": {"existingConfigMap": "policies"}},
    "bundle": {
        "policy": {"bundle": BUNDLE},
        "config": {"authorization": [{**REGO, "policies": ["/etc/ztag/policies/bundle.tar.gz"]}]},
    },
    "spread strictly": {"spread": {"zone": "DoNotSchedule", "host": "DoNotSchedule"}},
    "placed": {
        "nodeSelector": {"pool": "edge"},
        "tolerations": [{"key": "edge", "operator": "Exists", "effect": "NoSchedule"}],
        "priorityClassName": "system-cluster-critical",
        "affinity": {"nodeAffinity": {}},
        "podLabels": {"team": "security"},
        "podAnnotations": {"note": "x"},
    },
    "open network": {"networkPolicy": {"enabled": False}},
    "egress": {
        "networkPolicy": {
            "clients": [],
            "monitoring": [],
            "egress": [{"to": [{"ipBlock": {"cidr": "192.0.2.10/32"}}], "ports": [{"port": 443, "protocol": "TCP"}]}],
        }
    },
    "existing secrets": {"secrets": {"existing": [{"name": "api-keys", "secretName": "ztag-api-keys"}]}},
    "external secrets": {
        "secrets": {
            "external": [
                {
                    "name": "api-keys",
                    "storeRef": {"name": "vault", "kind": "ClusterSecretStore"},
                    "data": [{"secretKey": "keys.json", "remoteRef": {"key": "ztag/api-keys", "property": "keys"}}],
                }
            ]
        }
    },
    "vault agent": {
        "secrets": {"vault": {"role": "ztag", "files": [{"name": "api-keys", "path": "kv/data/ztag/api-keys"}]}}
    },
    "bundled redis": {"redis": {"mode": "bundled", **STORE}},
    "answers over redis": {
        "redis": {"mode": "bundled", **STORE},
        "secrets": {"existing": [{"name": "cache", "secretName": "ztag-cache"}]},
        "config": {
            "authorization": [
                {
                    "kind": "rego",
                    "policies": ["/etc/ztag/policies"],
                    "cache": {"redis": {"folder": "/etc/ztag/redis", "secret_file": "/etc/ztag/secrets/cache/secret"}},
                }
            ]
        },
    },
    "revocations over the network": {
        "redis": {"mode": "bundled", **STORE},
        "secrets": {"existing": [{"name": "revocation", "secretName": "ztag-revocation"}]},
        "service": {"revocationPort": 9903},
        "networkPolicy": {"revokers": [{"namespaceSelector": {"matchLabels": {"team": "security"}}}]},
        "tls": {"mode": "secret", "secretName": "ztag-tls", **MTLS},
        "config": {"revocation": REVOCATION},
    },
    "kept on disk": {
        "state": "4Gi",
        "config": {
            "reporting": [
                {"kind": "recording", "to": "/var/lib/ztag/requests"},
                {
                    "kind": "decision_log",
                    "url": "https://collector.example",
                    "buffer": "/var/lib/ztag/decision-logs",
                },
            ]
        },
    },
    "external redis": {"redis": {"mode": "external", "url": "rediss://redis.example:6379", **STORE}},
    "opa beside it": {"opa": {"enabled": True}},
    "service monitor": {"monitoring": {"monitor": "service", "labels": {"release": "prometheus"}}},
    "pod monitor, rules, dashboard": {
        "monitoring": {"monitor": "pod", "rules": {"enabled": True}, "dashboard": {"enabled": True}}
    },
    "istio": {"istio": ISTIO},
    "istio, whole namespace": {"istio": {"enabled": True, "protect": [{"name": "all", "namespace": "shop"}]}},
    "istio, peer certificate": filtered(includePeerCertificate=True, includeTlsSession=True),
    "istio, route cache": filtered(clearRouteCache=True),
    "istio, body": {"istio": {**ISTIO, "provider": {"maxRequestBytes": 8192, "allowPartialMessage": True}}},
    "istio, provider and callers": {
        "istio": {
            **ISTIO,
            "callers": {"namespaces": ["shop"], "principals": ["cluster.local/ns/edge/sa/gateway"]},
            "identityProviders": [{"host": "issuer.example", "port": 443}],
            "plaintextAdminPort": True,
            "destinationRule": {"locality": True},
        }
    },
    "istio, gateway": {
        "istio": {
            "enabled": True,
            "protect": [EDGE],
            "filter": {"includePeerCertificate": True},
        }
    },
    "istio, ambient": {"istio": AMBIENT},
    "envoy gateway": {"envoyGateway": {"enabled": True, "targetRefs": [GATEWAY_REF], "maxRequestBytes": 4096}},
    "envoy gateway elsewhere, mtls": {
        "envoyGateway": {"enabled": True, "namespace": "edge", "targetRefs": [GATEWAY_REF]},
        "tls": {"mode": "secret", "secretName": "ztag-tls", **MTLS},
    },
    "no tests": {"tests": {"enabled": False}},
    "everything": {
        "istio": {**ISTIO, "filter": {"includePeerCertificate": True}},
        "redis": {"mode": "bundled", **STORE},
        "opa": {"enabled": True},
        "monitoring": {"monitor": "service", "rules": {"enabled": True}, "dashboard": {"enabled": True}},
        "spire": {"enabled": True},
        "commonLabels": {"team": "security"},
    },
}

# What an operator may get wrong → what helm's message has to say.
WRONG: dict[str, tuple[Values, str]] = {
    "unknown key": ({"replica": 3}, "'replicas'"),
    "unknown setting of ztag": ({"config": {"servr": {}}}, "'server'"),
    "unknown engine": ({"config": {"server": {"engine": "java"}}}, "value must be one of 'h2corn', 'grpcio'"),
    "nobody authenticates": ({"config": {"authentication": []}}, "minItems: got 0, want 1"),
    "token checks missing": ({"config": {"authentication": [{"kind": "jwt"}]}}, "missing properties 'issuer', 'audi"),
    "several workers": ({"config": {"server": {"workers": 4}}}, "scale pods with autoscaling.minReplicas"),
    "unknown tls mode": ({"tls": {"mode": "on"}}, "value must be one of 'mesh', 'secret', 'certManager', 'spiffe'"),
    "mtls lets nobody in": ({"tls": {"mode": "secret", "secretName": "x"}}, "list the SPIFFE ids or DNS names"),
    "no issuer": ({"tls": {"mode": "certManager", **MTLS}}, "name the Issuer or ClusterIssuer"),
    "autoscaler upside down": ({"autoscaling": {"minReplicas": 9, "maxReplicas": 3}}, "raise it"),
    "autoscaler without requests": ({"resources": {"requests": {"cpu": None}}}, "resources.requests.cpu: "),
    "redis in plain text": ({"redis": {"mode": "external", "url": "redis://r:6379"}}, "'^(rediss://.+)?$'"),
    "redis without an acl": ({"redis": {"mode": "bundled", "tlsSecret": "t"}}, "name a Secret with username and pass"),
    "bundle without a digest": ({"policy": {"bundle": {"url": "https://b.example/a.tar.gz"}}}, "sha256sum"),
    "bundle that is not read": ({"policy": {"bundle": BUNDLE}}, "policies: [/etc/ztag/policies/bundle.tar.gz]"),
    "revocations by nobody": ({"service": {"revocationPort": 9903}}, "add config.revocation.operators"),
    "revocations at another's port": (
        {"service": {"revocationPort": 9902}, "config": {"revocation": REVOCATION}},
        "service.revocationPort: is service.port or",
    ),
    "unset timeout": ({"istio": {**ISTIO, "provider": {"timeout": ""}}}, "write one such as 0.5s or 250ms"),
    "timeout without a unit": ({"istio": {**ISTIO, "provider": {"timeout": "5"}}}, "write one such as 0.5s or 250ms"),
    "status that envoy has not": ({"istio": {"provider": {"statusOnError": "599"}}}, "'503'"),
    "principals under custom": (
        {"istio": {"protect": [{"name": "a", "namespace": "b", "principals": ["x"]}]}},
        "additional properties 'principals' not allowed",
    ),
    "anybody by accident": (
        {"istio": {"protect": [{"name": "a", "namespace": "b", "allow": [{"methods": ["GET"]}]}]}},
        "missing property 'anybody'",
    ),
    "asks itself": (
        {"istio": {"enabled": True, "protect": [{"name": "all", "namespace": "ztag-system"}]}},
        "add a selector",
    ),
    "asks itself, mesh-wide": (
        {"istio": {"enabled": True, "protect": [{"name": "all", "namespace": "istio-system"}]}},
        "add a selector",
    ),
    "selector and target": (
        {"istio": {"enabled": True, "protect": [{**AMBIENT["protect"][0], "selector": {"a": "b"}}]}},
        "keep targetRefs for gateways and waypoints",
    ),
    "ambient by selector": ({"istio": {**ISTIO, "mode": "ambient"}}, "set targetRefs to the Service"),
    "waypoint passed by": (
        {"istio": {**AMBIENT, "protect": [{**EDGE, "namespace": "shop"}]}},
        "waypoint.workloads",
    ),
    "certificate at a waypoint": (
        {"istio": {**AMBIENT, "filter": {"includePeerCertificate": True}}},
        "bind tokens by DPoP",
    ),
    "mesh and tls": ({"istio": ISTIO, "tls": {"mode": "spiffe", **MTLS}}, "set tls.mode: mesh"),
    "gateway of nothing": ({"envoyGateway": {"enabled": True}}, "name a Gateway or a route"),
}
