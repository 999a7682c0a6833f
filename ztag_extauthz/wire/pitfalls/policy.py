"""Istio's AuthorizationPolicy with action CUSTOM."""

from collections.abc import Iterator, Mapping
from typing import Any

from ztag_extauthz.wire.manifests import Manifest, at, section, sequence
from ztag_extauthz.wire.pitfalls.finding import Finding, error, warning
from ztag_extauthz.wire.pitfalls.mesh import Mesh

SOURCES = ("namespaces", "serviceAccounts", "trustDomains", "principals", "requestPrincipals")
NOT_IN_CUSTOM = frozenset(SOURCES) | {f"not{name[0].upper()}{name[1:]}" for name in SOURCES}
NOT_A_KEY = ("source.namespace", "source.serviceAccount", "source.trustDomain", "source.principal", "request.auth.")
MOST_TARGETS = 16


def check(mesh: Mesh) -> Iterator[Finding]:
    policies = [found for found in mesh.of("AuthorizationPolicy") if is_custom(found)]
    for policy in policies:
        yield from _provider(policy, mesh)
        yield from _rules(policy)
        yield from _attachment(policy, mesh)
        yield from _recursion(policy, mesh)
        yield from _dry_run(policy)
    yield from _several_providers(policies)


def is_custom(policy: Manifest) -> bool:
    return policy.spec.get("action") == "CUSTOM" or "provider" in policy.spec


def _provider(policy: Manifest, mesh: Mesh) -> Iterator[Finding]:
    if policy.spec.get("action") != "CUSTOM":
        yield error(policy.where("action"), "a provider is asked only under CUSTOM", "set action: CUSTOM")
    name = at(policy.spec, "provider", "name")
    known = [provider.name for provider in mesh.providers]
    if not name:
        yield error(policy.where("provider.name"), "is missing", f"name one of: {', '.join(known) or 'ztag'}")
    elif not mesh.has_config:
        what = f"no MeshConfig is among the files, so nobody knows whether provider {name!r} exists"
        yield warning(policy.where("provider.name"), what, "give the file of MeshConfig too")
    elif name not in known:
        what = f"provider {name!r} is not in MeshConfig, so Istio denies every request to these workloads"
        yield error(
            policy.where("provider.name"), what, f"name one of: {', '.join(known)}" if known else "add it there"
        )


def _rules(policy: Manifest) -> Iterator[Finding]:
    rules = sequence(policy.spec.get("rules"))
    if not rules:
        yield error(policy.where("rules"), "is empty, and CUSTOM needs one", "write rules: [{}] for every request")
    for index, rule in enumerate(rules):
        for entry in sequence(at(rule, "from")):
            for name in sorted(NOT_IN_CUSTOM & section(at(entry, "source")).keys()):
                what = f"CUSTOM cannot match on {name}: Istio refuses the policy"
                remedy = (
                    "match in ztag's policy (input.source_principal), or in an ALLOW or DENY policy beside this one"
                )
                yield error(policy.where(f"rules[{index}].from.source.{name}"), what, remedy)
        yield from _paths(policy, index, rule)
        for entry in sequence(at(rule, "when")):
            key = str(at(entry, "key") or "")
            if key.startswith(NOT_A_KEY):
                what = f"CUSTOM cannot match on {key}: it runs before tokens are read, and Istio refuses it"
                yield error(policy.where(f"rules[{index}].when"), what, "match in ztag's policy (input.identity)")


def _paths(policy: Manifest, index: int, rule: Any) -> Iterator[Finding]:
    for entry in sequence(at(rule, "to")):
        for name in ("paths", "notPaths"):
            for path in sequence(at(entry, "operation", name)):
                if not str(path).startswith(("/", "*", "{")):
                    where = policy.where(f"rules[{index}].to.operation.{name}")
                    yield error(where, f"{path!r} does not begin with /, so it is no path", f"write /{path}")


def _attachment(policy: Manifest, mesh: Mesh) -> Iterator[Finding]:
    targets = sequence(policy.spec.get("targetRefs"))
    if targets and policy.spec.get("selector"):
        remedy = "targetRefs for gateways and waypoints, selector for sidecars"
        yield error(policy.where(), "selector and targetRefs exclude each other", remedy)
    if "selector" in policy.spec and not at(policy.spec, "selector", "matchLabels"):
        what = "is empty, so every workload of the namespace is asked about"
        yield warning(policy.where("selector"), what, "name labels, or leave selector out where that is meant")
    if len(targets) > MOST_TARGETS:
        yield error(policy.where("targetRefs"), f"has {len(targets)} entries, at most 16", "write several policies")
    ambient = any(
        at(found.body, "metadata", "labels", "istio.io/dataplane-mode") == "ambient" and found.name == policy.namespace
        for found in mesh.of("Namespace")
    )
    if ambient and not targets:
        what = "its namespace is ambient: ztunnel does not enforce CUSTOM and waypoints ignore selectors"
        yield error(policy.where("selector"), what, "set targetRefs to the Service or the waypoint's Gateway")
    if any(at(target, "kind") == "Service" for target in targets) and not _closed_by_waypoint(policy, mesh):
        what = "whoever calls a pod by its address passes the waypoint by"
        remedy = "add an ALLOW policy on the pods whose one principal is the waypoint's service account"
        yield warning(policy.where("targetRefs"), what, remedy)


def _closed_by_waypoint(policy: Manifest, mesh: Mesh) -> bool:
    """Say whether the policy's namespace has an L4 policy that admits named principals only."""
    return any(
        found.namespace == policy.namespace
        and found.spec.get("action", "ALLOW") == "ALLOW"
        and "targetRefs" not in found.spec
        and any(at(rule, "from", 0, "source", "principals") for rule in sequence(found.spec.get("rules")))
        for found in mesh.of("AuthorizationPolicy")
    )


def _recursion(policy: Manifest, mesh: Mesh) -> Iterator[Finding]:
    if policy.spec.get("targetRefs"):
        return
    selector = section(at(policy.spec, "selector", "matchLabels"))
    root = mesh.root_namespace
    for namespace, labels in mesh.own_pods():
        reached = policy.namespace in {root, namespace}
        if reached and _selects(selector, labels):
            what = "selects ztag's own pods, which would ask themselves about every question"
            labels_of_others = 'add a selector whose labels they do not have, e.g. {ztag.dev/enforced: "true"}'
            remedy = f"{labels_of_others}, or use another namespace"
            yield error(policy.where("selector"), what, remedy)
            return


def _selects(selector: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    return selector.items() <= labels.items()


def _dry_run(policy: Manifest) -> Iterator[Finding]:
    if str(at(policy.body, "metadata", "annotations", "istio.io/dry-run")).lower() == "true":
        what = "dry-run does not hold back CUSTOM: ztag is asked and its answer is enforced"
        yield error(policy.where("metadata.annotations"), what, "use dry_run: true of ztag's rego authorizer")


def _several_providers(policies: list[Manifest]) -> Iterator[Finding]:
    first: dict[tuple[str, str], Manifest] = {}
    for policy in policies:
        attached = (policy.namespace, repr((policy.spec.get("selector"), policy.spec.get("targetRefs"))))
        other = first.setdefault(attached, policy)
        if at(other.spec, "provider", "name") != at(policy.spec, "provider", "name"):
            what = f"the same workloads have the provider of {other.name} too: with two, Istio denies everything"
            remedy = "ask one provider, or set PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS in istiod"
            yield error(policy.where("provider.name"), what, remedy)
