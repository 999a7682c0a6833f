"""Istio's DestinationRule, PeerAuthentication and EnvoyFilter on the way to ztag."""

from collections.abc import Iterator

from ztag_extauthz.wire.manifests import Manifest, at, section, sequence, walk
from ztag_extauthz.wire.pitfalls.finding import Finding, error, warning
from ztag_extauthz.wire.pitfalls.mesh import Mesh

EXT_AUTHZ = "envoy.filters.http.ext_authz"
INSERTS = {"INSERT_BEFORE", "INSERT_AFTER", "INSERT_FIRST", "ADD"}


def check(mesh: Mesh) -> Iterator[Finding]:
    for rule in mesh.of("DestinationRule"):
        if any(_same_host(str(rule.spec.get("host", "")), provider.host) for provider in mesh.providers):
            yield from _destination(rule, mesh)
    for patched in mesh.of("EnvoyFilter"):
        yield from _envoy_filter(patched, mesh)


def _same_host(host: str, asked: str) -> bool:
    return host == asked or ("." not in host and host == asked.partition(".")[0])


def _destination(rule: Manifest, mesh: Mesh) -> Iterator[Finding]:
    policy = section(rule.spec.get("trafficPolicy"))
    mode = at(policy, "tls", "mode")
    strict = any(at(found.spec, "mtls", "mode") == "STRICT" for found in mesh.of("PeerAuthentication"))
    if mode in {"DISABLE", "SIMPLE"} and strict:
        what = f"mode {mode} towards pods that want mTLS: every check fails"
        yield error(rule.where("trafficPolicy.tls.mode"), what, "set ISTIO_MUTUAL")
    elif mode == "DISABLE":
        what = "checks travel in plain text, tokens included"
        yield warning(rule.where("trafficPolicy.tls.mode"), what, "set ISTIO_MUTUAL")
    http = section(at(policy, "connectionPool", "http"))
    if http.get("maxRequestsPerConnection") == 1:
        where = rule.where("trafficPolicy.connectionPool.http.maxRequestsPerConnection")
        yield warning(where, "a new connection, with a new handshake, for every check", "leave it out")
    if http.get("maxConcurrentStreams"):
        where = rule.where("trafficPolicy.connectionPool.http.maxConcurrentStreams")
        yield warning(where, "spreads the load poorly, and where the server sets it fails checks", "leave it out")


def _envoy_filter(patched: Manifest, mesh: Mesh) -> Iterator[Finding]:
    for index, patch in enumerate(sequence(patched.spec.get("configPatches"))):
        value = section(at(patch, "patch", "value"))
        touches = value.get("name") == EXT_AUTHZ or any(
            str(entry.get("@type", "")).endswith("ext_authz.v3.ExtAuthz") for _, entry in walk(value)
        )
        if not touches:
            continue
        where = patched.where(f"configPatches[{index}]")
        if at(patch, "patch", "operation") in INSERTS:
            what = "a filter of its own asks about every request, past the AuthorizationPolicy"
            yield warning(where, what, "use operation: MERGE on the filter that the extension provider makes")
        everywhere = not patched.spec.get("workloadSelector") and not patched.spec.get("targetRefs")
        if everywhere and patched.namespace in {mesh.root_namespace, *(namespace for namespace, _ in mesh.own_pods())}:
            yield error(where, "also patches ztag's own proxies", "add a workloadSelector")
