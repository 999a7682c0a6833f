"""`ztag wire check`: what goes wrong in objects that make Envoys ask ztag, with the remedy of each."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ztag_extauthz.wire.manifests import Manifest, read, walk
from ztag_extauthz.wire.pitfalls import Finding, Mesh, envoy, gateway, policy, provider, traffic
from ztag_extauthz.wire.pitfalls.finding import warning
from ztag_extauthz.wire.pitfalls.mesh import mesh_configs

CHECKS: tuple[Callable[[Mesh], Iterator[Finding]], ...] = (
    provider.check,
    policy.check,
    traffic.check,
    gateway.check,
    envoy.check,
)
KINDS = frozenset(
    [
        *("AuthorizationPolicy", "PeerAuthentication", "DestinationRule", "EnvoyFilter"),
        *("SecurityPolicy", "ReferenceGrant", "Service", "Deployment", "Namespace"),
    ]
)
"""Kinds of objects that a check looks at."""


def findings(files: Iterable[Path]) -> tuple[Finding, ...]:
    """Return what the files' objects, taken together, get wrong. Raises `SettingsError` where one is no YAML."""
    named = tuple(files)
    mesh = Mesh(read(named))
    known = {manifest.file for manifest in mesh.manifests if _is_known(manifest)}
    remedy = "give objects of Istio, Envoy Gateway or Kubernetes, a MeshConfig, or Envoy's own configuration"
    strange = tuple(
        warning(str(file), "holds nothing that is checked", remedy) for file in named if str(file) not in known
    )
    return strange + tuple(finding for check in CHECKS for finding in check(mesh))


def _is_known(manifest: Manifest) -> bool:
    if manifest.kind in KINDS or any(True for _ in mesh_configs(manifest)):
        return True
    return not manifest.kind and any("@type" in part for _, part in walk(manifest.body))
