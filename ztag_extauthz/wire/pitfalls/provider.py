"""Istio's extension provider, and the Service that it names."""

import re
from collections.abc import Iterator

from ztag_extauthz.wire.manifests import Manifest, at, sequence
from ztag_extauthz.wire.pitfalls.finding import Finding, error, warning
from ztag_extauthz.wire.pitfalls.mesh import HTTP, Mesh, Provider

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
DURATION = re.compile(r"(?:\d+(?:\.\d+)?|\.\d+)(?:ms|s|m|h)")
SECONDS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
LONGEST = 5.0
"""Seconds for a check, above which a caller has rather given up."""
# Envoy's `type.v3.StatusCode`, as far as it is an answer to an error.
STATUSES = {*range(400, 418), 421, 422, 423, 424, 426, 428, 429, 431, *range(500, 509), 510, 511}
HTTP2_NAMES = re.compile(r"(grpc|http2|grpc-web)(-.*)?")
HTTP2_PROTOCOLS = {"grpc", "http2", "grpc-web", "kubernetes.io/h2c"}


def check(mesh: Mesh) -> Iterator[Finding]:
    for provider in mesh.providers:
        yield from _name(provider)
        yield from _service(provider, mesh)
        yield from _timeout(provider)
        yield from _on_error(provider)
        yield from _body(provider)
        if provider.kind == HTTP:
            yield error(provider.where, "ztag speaks gRPC, not HTTP", "use envoyExtAuthzGrpc")
        if "clearRouteCache" in provider.config:
            remedy = "set clear_route_cache by an EnvoyFilter, or leave it out"
            yield warning(provider.where, "Istio does not read clearRouteCache", remedy)


def seconds(text: object) -> float | None:
    """Return a duration (`0.5s`, `250ms`) in seconds, or None if it is none."""
    match = DURATION.fullmatch(str(text))
    if match is None:
        return None
    unit = next(unit for unit in SECONDS if str(text).endswith(unit))
    return float(str(text).removesuffix(unit)) * SECONDS[unit]


def _name(provider: Provider) -> Iterator[Finding]:
    if not LABEL.fullmatch(provider.name):
        remedy = "write lower-case letters, digits and '-', at most 63"
        yield error(provider.where, f"name {provider.name!r} is no DNS label, so Istio denies everything", remedy)


def _service(provider: Provider, mesh: Mesh) -> Iterator[Finding]:
    where = f"{provider.where}.{provider.kind}"
    host = provider.host
    if host.count(".") < 2:
        what = f"service {host!r} is a short name, which does not resolve: Istio then denies everything"
        first = host.partition(".")[0] or "ztag"
        yield error(f"{where}.service", what, f"write {first}.NAMESPACE.svc.cluster.local")
    port = provider.config.get("port")
    if not isinstance(port, int):
        yield error(f"{where}.port", "is missing", "write the Service's port, not its targetPort: 9191")
        return
    for service in mesh.services_of(provider):
        yield from _port(service, port, where)


def _port(service: Manifest, port: int, where: str) -> Iterator[Finding]:
    ports = {entry.get("port"): entry for entry in sequence(service.spec.get("ports")) if isinstance(entry, dict)}
    if port not in ports:
        known = ", ".join(map(str, ports)) or "none"
        yield error(f"{where}.port", f"{port} is no port of Service/{service.name}", f"it has {known}")
        return
    entry = ports[port]
    named = HTTP2_NAMES.fullmatch(str(entry.get("name", "")))
    if not named and entry.get("appProtocol") not in HTTP2_PROTOCOLS:
        place = service.where(f"ports[{list(ports).index(port)}]")
        yield error(place, "Envoy would not speak HTTP/2 to it", "set appProtocol: grpc, or name the port grpc")


def _timeout(provider: Provider) -> Iterator[Finding]:
    where = f"{provider.where}.{provider.kind}.timeout"
    if "timeout" not in provider.config:
        yield error(where, "is not set, and Istio's default is 600 s", "write 0.5s")
        return
    found = seconds(provider.config["timeout"])
    if not found:
        yield error(where, f"{provider.config['timeout']!r} is no duration above zero", "write 0.5s or 250ms")
    elif found > LONGEST:
        yield warning(where, f"a caller would wait {found:g} s for a check", "write 0.5s")


def _on_error(provider: Provider) -> Iterator[Finding]:
    where = f"{provider.where}.{provider.kind}"
    status = provider.config.get("statusOnError")
    if status is None:
        what = "is not set: an outage answers 403, like a denial"
        yield warning(f"{where}.statusOnError", what, 'write "503"')
    elif not str(status).isdecimal() or int(status) not in STATUSES:
        yield error(f"{where}.statusOnError", f"{status!r} is no status that Envoy knows", 'write "503"')
    elif not isinstance(status, str):
        yield error(f"{where}.statusOnError", "is a number, and has to be text", f'write "{status}"')
    if provider.config.get("failOpen"):
        what = "every request passes unasked while ztag is down, slow or answers 5xx"
        yield warning(f"{where}.failOpen", what, "leave it out, unless availability matters more than authorization")


def _body(provider: Provider) -> Iterator[Finding]:
    body = at(provider.config, "includeRequestBodyInCheck")
    where = f"{provider.where}.{provider.kind}.includeRequestBodyInCheck"
    if body is None:
        return
    if not at(body, "maxRequestBytes"):
        yield error(where, "has no maxRequestBytes", "write how many bytes the policy needs, e.g. 8192")
    if not at(body, "allowPartialMessage"):
        what = "a body over the limit is answered with 413 by Envoy, whatever failOpen says"
        yield warning(where, what, "set allowPartialMessage: true; the policy then sees truncated_body")
