"""What the files say about the mesh as a whole: the providers, ztag's Service and pods, the other objects."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from msgspec import Struct

from ztag_extauthz.wire.manifests import Manifest, at, section, sequence

GRPC, HTTP = "envoyExtAuthzGrpc", "envoyExtAuthzHttp"
POD_LABELS: Mapping[str, str] = {"app.kubernetes.io/name": "ztag"}
"""What ztag's pods are taken to be labelled with where no Deployment of theirs is among the files."""


class Provider(Struct, frozen=True):
    """An extension provider that asks somebody for authorization."""

    where: str
    name: str
    kind: str
    config: Mapping[str, Any]

    @property
    def host(self) -> str:
        return str(self.config.get("service", "")).rpartition("/")[2]

    @property
    def namespace(self) -> str:
        """The namespace of the Service, by its name; "" if that is short."""
        parts = self.host.split(".")
        return parts[1] if len(parts) > 2 else ""


class Mesh(Struct, frozen=True):
    """All manifests of one check."""

    manifests: tuple[Manifest, ...]

    def of(self, *kinds: str) -> tuple[Manifest, ...]:
        return tuple(manifest for manifest in self.manifests if manifest.kind in kinds)

    @property
    def has_config(self) -> bool:
        """Whether a MeshConfig is among the files, so that a provider that is not in it is missing."""
        return any(True for manifest in self.manifests for _ in mesh_configs(manifest))

    @property
    def root_namespace(self) -> str:
        named = (config.get("rootNamespace") for found in self.manifests for _, config in mesh_configs(found))
        return next((str(name) for name in named if name), "istio-system")

    @property
    def providers(self) -> tuple[Provider, ...]:
        return tuple(provider for manifest in self.manifests for provider in _providers(manifest))

    def services_of(self, provider: Provider) -> tuple[Manifest, ...]:
        name = provider.host.partition(".")[0]
        found = (service for service in self.of("Service") if service.name == name)
        return tuple(service for service in found if provider.namespace in {"", service.namespace})

    def own_pods(self) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        """Return namespace and labels of the pods behind the providers."""
        services = [service for provider in self.providers for service in self.services_of(provider)]
        named = [(service.namespace, section(service.spec.get("selector"))) for service in services]
        guessed = [(provider.namespace, POD_LABELS) for provider in self.providers if provider.namespace]
        pods = [
            (found.namespace, section(at(found.spec, "template", "metadata", "labels")))
            for found in self.of("Deployment")
            if any(found.namespace == namespace and covers(labels, found) for namespace, labels in named)
        ]
        return tuple(pods or named or guessed)


def covers(selector: Mapping[str, Any], workload: Manifest) -> bool:
    """Say whether a selector selects the pods of a workload."""
    labels = section(at(workload.spec, "template", "metadata", "labels"))
    return bool(selector) and selector.items() <= labels.items()


def mesh_configs(manifest: Manifest) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Yield the MeshConfigs of a document: bare, in Istio's ConfigMap, in its operator's or its chart's values."""
    body = manifest.body
    if "extensionProviders" in body:
        yield (), body
    if manifest.kind == "ConfigMap" and isinstance(at(body, "data", "mesh"), str):
        yield ("data", "mesh"), section(yaml.safe_load(at(body, "data", "mesh")))
    for path in (("spec", "meshConfig"), ("spec", "values", "meshConfig"), ("meshConfig",)):
        if isinstance(at(body, *path), Mapping):
            yield path, at(body, *path)


def _providers(manifest: Manifest) -> Iterator[Provider]:
    for path, config in mesh_configs(manifest):
        for index, entry in enumerate(sequence(config.get("extensionProviders"))):
            where = manifest.where(*path, f"extensionProviders[{index}]")
            for kind in (GRPC, HTTP):
                if isinstance(at(entry, kind), Mapping):
                    yield Provider(where, str(entry.get("name", "")), kind, entry[kind])
