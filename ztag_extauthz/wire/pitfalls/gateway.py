"""Envoy Gateway's SecurityPolicy, with what it refers to."""

from collections.abc import Iterator

from ztag_extauthz.wire.manifests import Manifest, at, section, sequence
from ztag_extauthz.wire.pitfalls.finding import Finding, error, warning
from ztag_extauthz.wire.pitfalls.mesh import Mesh
from ztag_extauthz.wire.pitfalls.provider import LONGEST, seconds


def check(mesh: Mesh) -> Iterator[Finding]:
    for policy in mesh.of("SecurityPolicy"):
        if isinstance(policy.spec.get("extAuth"), dict):
            yield from _policy(policy)
            yield from _backends(policy, mesh)


def _policy(policy: Manifest) -> Iterator[Finding]:
    asked = section(policy.spec.get("extAuth"))
    if "http" in asked:
        yield error(policy.where("extAuth.http"), "ztag speaks gRPC, not HTTP", "use extAuth.grpc")
    if not (policy.spec.get("targetRefs") or policy.spec.get("targetRef") or policy.spec.get("targetSelectors")):
        yield error(policy.where("targetRefs"), "is missing, so nothing is asked about", "name a Gateway or a route")
    found = seconds(asked.get("timeout")) if "timeout" in asked else None
    if "timeout" not in asked:
        yield error(policy.where("extAuth.timeout"), "is not set, and its default is 10 s", "write 500ms")
    elif found and found > LONGEST:
        yield warning(policy.where("extAuth.timeout"), f"a caller would wait {found:g} s for a check", "write 500ms")
    if asked.get("failOpen"):
        what = "requests pass unasked while ztag is down, and also while this policy itself is invalid"
        yield warning(policy.where("extAuth.failOpen"), what, "leave it out")
    if "statusOnError" not in asked:
        what = "is not set: an outage answers 403, like a denial"
        yield warning(policy.where("extAuth.statusOnError"), what, "write 503")


def _backends(policy: Manifest, mesh: Mesh) -> Iterator[Finding]:
    grpc = section(at(policy.spec, "extAuth", "grpc"))
    references = [*sequence(grpc.get("backendRefs")), *([grpc["backendRef"]] if "backendRef" in grpc else [])]
    for index, reference in enumerate(references):
        where = policy.where(f"extAuth.grpc.backendRefs[{index}]")
        if not at(reference, "port"):
            yield error(where, "has no port", "write the Service's port: 9191")
        namespace = str(at(reference, "namespace") or policy.namespace)
        if namespace != policy.namespace and not _granted(policy, namespace, mesh):
            what = f"is in namespace {namespace}, which grants no reference: the policy is refused"
            yield error(where, what, f"add a ReferenceGrant there from SecurityPolicy in {policy.namespace}")


def _granted(policy: Manifest, namespace: str, mesh: Mesh) -> bool:
    return any(
        grant.namespace == namespace
        and at(origin, "kind") == "SecurityPolicy"
        and at(origin, "namespace") == policy.namespace
        for grant in mesh.of("ReferenceGrant")
        for origin in sequence(grant.spec.get("from"))
    )
