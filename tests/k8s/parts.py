"""What the mesh's tests start: a sidecar that is a real Envoy, with the filters that istiod made."""

import http.client
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from msgspec import Struct

from k8s.verify import istiod
from tests.e2e.certificates import Authority
from ztag_extauthz.demo.issuer import Issuer
from ztag_extauthz.demo.processes import Envoy, Ztag, folder_for, free_ports
from ztag_extauthz.demo.upstream import Echo, LocalServer

LOOPBACK = "127.0.0.1"
POLICY = Path(__file__).parents[2] / "k8s" / "examples" / "shop" / "policy"
TYPES = "type.googleapis.com/envoy"
ROUTER = {
    "name": "envoy.filters.http.router",
    "typed_config": {"@type": f"{TYPES}.extensions.filters.http.router.v3.Router"},
}
Document = dict[str, Any]


class Sidecar(Struct):
    """A running sidecar of the example's orders, and ztag behind it."""

    authority: Authority
    folder: Path
    issuer: Issuer
    ztag: Ztag
    envoy: Envoy
    edge: tuple[str, int]

    def ask(self, caller: str, method: str, path: str, roles: list[str] | None = None) -> int:
        """Return the status that a workload gets, with a user's token if roles are given."""
        context = ssl.create_default_context(cafile=self.authority.file)
        context.check_hostname = False
        name = caller.replace("/", "-")
        shown = self.authority.issue(name, [x509.UniformResourceIdentifier(f"spiffe://cluster.local/{caller}")])
        context.load_cert_chain(shown.certificate, shown.key)
        headers = (
            {} if roles is None else {"authorization": f"Bearer {self.issuer.token('ann', aud='shop', roles=roles)}"}
        )
        connection = http.client.HTTPSConnection(*self.edge, context=context, timeout=20)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()


@contextmanager
def sidecar(kept: Document) -> Iterator[Sidecar]:
    """Yield a sidecar whose HTTP filters are those that istiod made."""
    with ExitStack() as parts:
        folder = parts.enter_context(folder_for("mesh"))
        authority, issuer, upstream = Authority(folder), Issuer(), LocalServer(Echo)
        parts.callback(issuer.stop)
        parts.callback(upstream.stop)
        grpc, ztag_admin, admin, edge = free_ports(4)
        config = folder / "ztag.yaml"
        config.write_text(yaml.safe_dump(ztag_settings(issuer.url, grpc, ztag_admin)), encoding="utf-8")
        ztag = Ztag(config, folder)
        parts.callback(ztag.stop)
        server = authority.issue("orders", [x509.UniformResourceIdentifier("spiffe://cluster.local/ns/shop/sa/orders")])
        document = {
            "admin": {"address": address(LOOPBACK, admin)},
            "static_resources": {
                "listeners": [
                    listener(edge, kept["http_filters"], tls(authority.file, server.certificate, server.key))
                ],
                "clusters": [static(kept["cluster"], grpc), cluster("upstream", upstream.address[1])],
            },
        }
        envoy = Envoy(document, (LOOPBACK, admin), folder)
        parts.callback(envoy.stop)
        yield Sidecar(authority, folder, issuer, ztag, envoy, (LOOPBACK, edge))


def ztag_settings(issuer: str, grpc: int, admin: int) -> Document:
    """Return the example's configuration, with an issuer that runs here."""
    config = dict(istiod.values()["config"])
    token = {**config["authentication"][0], "issuer": issuer, "jwks": {"insecure_http_keys": True}}
    rego = {**config["authorization"][0], "policies": [str(POLICY)]}
    listen = {"grpc": f"{LOOPBACK}:{grpc}", "admin": f"{LOOPBACK}:{admin}"}
    return {
        "listen": listen,
        "authentication": [token, *config["authentication"][1:]],
        "authorization": [rego],
    }


def static(made: Document, port: int) -> Document:
    """Return istiod's cluster with its endpoint and without what only a mesh has: discovery and certificates of it."""
    kept = {
        key: value for key, value in made.items() if key not in {"eds_cluster_config", "transport_socket", "filters"}
    }
    kept.pop("transport_socket_matches", None)
    kept.pop("metadata", None)
    return {**kept, "type": "STATIC", "load_assignment": assignment(made["name"], port)}


def cluster(name: str, *ports: int) -> Document:
    return {"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": assignment(name, *ports)}


def assignment(name: str, *ports: int) -> Document:
    endpoints = [{"endpoint": {"address": address(LOOPBACK, port)}} for port in ports]
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]}


def address(host: str, port: int) -> Document:
    return {"socket_address": {"address": host, "port_value": port}}


def listener(port: int, filters: list[Document], transport_socket: Document | None = None) -> Document:
    """Return a listener whose connection manager has these filters before the router."""
    manager = {
        "@type": f"{TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "inbound",
        "normalize_path": True,
        "http_filters": [*filters, ROUTER],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}],
                }
            ]
        },
    }
    chain: Document = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    if transport_socket:
        chain["transport_socket"] = transport_socket
    return {"name": "inbound", "address": address(LOOPBACK, port), "filter_chains": [chain]}


def tls(authority: str, certificate: str, key: str) -> Document:
    """Return the downstream mTLS of a sidecar in mode STRICT."""
    pair = {"certificate_chain": {"filename": certificate}, "private_key": {"filename": key}}
    config = {
        "@type": f"{TYPES}.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "require_client_certificate": True,
        "common_tls_context": {
            "tls_certificates": [pair],
            "validation_context": {"trusted_ca": {"filename": authority}},
        },
    }
    return {"name": "envoy.transport_sockets.tls", "typed_config": config}
