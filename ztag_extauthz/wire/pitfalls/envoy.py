"""Envoy's own configuration: the ext_authz filter, its cluster, and the connection manager around it."""

from collections.abc import Iterator, Mapping
from typing import Any

from ztag_extauthz.wire.manifests import Manifest, at, section, sequence, walk
from ztag_extauthz.wire.pitfalls.finding import Finding, error, warning
from ztag_extauthz.wire.pitfalls.mesh import Mesh
from ztag_extauthz.wire.pitfalls.provider import LONGEST, seconds

FILTER = "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz"
PER_ROUTE = "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute"
MANAGER = "HttpConnectionManager"
HTTP2 = ("explicit_http_config", "http2_protocol_options")


def check(mesh: Mesh) -> Iterator[Finding]:
    for manifest in mesh.manifests:
        if not manifest.kind:
            yield from _document(manifest)


def _document(manifest: Manifest) -> Iterator[Finding]:
    clusters = {entry.get("name"): entry for entry in _clusters(manifest) if isinstance(entry, Mapping)}
    asking = False
    for path, part in walk(manifest.body):
        where = manifest.where(*path)
        if part.get("@type") == FILTER:
            asking = True
            yield from _filter(where, part)
            yield from _cluster(where, part, clusters)
        elif part.get("@type") == PER_ROUTE and part.get("disabled"):
            yield warning(where, "requests of this route are not asked about", "make sure that this is meant")
    if asking:
        yield from _managers(manifest)


def _clusters(manifest: Manifest) -> list[Any]:
    return [*sequence(at(manifest.body, "static_resources", "clusters")), *sequence(manifest.body.get("clusters"))]


def _filter(where: str, config: Mapping[str, Any]) -> Iterator[Finding]:
    if "http_service" in config:
        yield error(where, "ztag speaks gRPC, not HTTP", "use grpc_service")
    if config.get("transport_api_version") != "V3":
        yield error(where, "transport_api_version is not V3", "set transport_api_version: V3")
    if config.get("failure_mode_allow"):
        what = "failure_mode_allow: every request passes unasked while ztag is away"
        yield warning(where, what, "leave it out, unless availability matters more than authorization")
    if "status_on_error" not in config:
        yield warning(where, "no status_on_error: an outage answers 403, like a denial", "set {code: 503}")
    if config.get("clear_route_cache"):
        what = "clear_route_cache: a header that a policy sets can send the request on a route that is not asked about"
        yield warning(where, what, "leave it out, or make every route of the virtual host ask")
    found = seconds(at(config, "grpc_service", "timeout"))
    if found and found > LONGEST:
        yield warning(where, f"timeout: a caller would wait {found:g} s for a check", "write 0.25s")
    body = config.get("with_request_body")
    if body is not None and not at(body, "allow_partial_message"):
        what = "a body over the limit is answered with 413 by Envoy, whatever failure_mode_allow says"
        yield warning(where, what, "set allow_partial_message: true; the policy then sees truncated_body")


def _cluster(where: str, config: Mapping[str, Any], clusters: Mapping[Any, Mapping[str, Any]]) -> Iterator[Finding]:
    name = at(config, "grpc_service", "envoy_grpc", "cluster_name")
    if not clusters or name is None:
        return
    if name not in clusters:
        yield error(where, f"cluster {name!r} does not exist", f"there are: {', '.join(map(str, clusters))}")
        return
    cluster = clusters[name]
    options = [section(entry) for entry in section(cluster.get("typed_extension_protocol_options")).values()]
    speaks = "http2_protocol_options" in cluster or any(at(entry, *HTTP2) is not None for entry in options)
    if not speaks:
        yield error(f"{where}: cluster {name}", "speaks HTTP/1.1", "set explicit_http_config.http2_protocol_options")
    if any(at(entry, *HTTP2, "max_concurrent_streams") for entry in options):
        what = "max_concurrent_streams spreads the load poorly"
        yield warning(f"{where}: cluster {name}", what, "leave it out; list one endpoint a worker")


def _managers(manifest: Manifest) -> Iterator[Finding]:
    for path, part in walk(manifest.body):
        if str(part.get("@type", "")).endswith(MANAGER):
            where = manifest.where(*path)
            if not part.get("normalize_path"):
                yield warning(
                    where, "paths are not normalised: ztag refuses ambiguous ones", "set normalize_path: true"
                )
            if part.get("path_with_escaped_slashes_action") in {None, "KEEP_UNCHANGED"}:
                what = "escaped slashes are kept: ztag refuses such paths with 400"
                yield warning(where, what, "set path_with_escaped_slashes_action: REJECT_REQUEST")
