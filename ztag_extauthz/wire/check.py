"""`ztag wire check`: what goes wrong in objects that make Envoys ask ztag, with the remedy of each."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ztag_extauthz.wire.manifests import read
from ztag_extauthz.wire.pitfalls import Finding, Mesh, envoy, gateway, policy, provider, traffic

CHECKS: tuple[Callable[[Mesh], Iterator[Finding]], ...] = (
    provider.check,
    policy.check,
    traffic.check,
    gateway.check,
    envoy.check,
)


def findings(files: Iterable[Path]) -> tuple[Finding, ...]:
    """Return what the files' objects, taken together, get wrong. Raises `SettingsError` where one is no YAML."""
    mesh = Mesh(read(files))
    return tuple(finding for check in CHECKS for finding in check(mesh))
