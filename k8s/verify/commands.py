"""One check by a real tool each: they return what the tool found, nothing if all is well."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import yaml
from msgspec import Struct

from k8s.verify.cases import AMBIENT, ISTIO, JWT, REGO, RIGHT, Values
from k8s.verify.rendering import CHART, Object, notes, render
from k8s.verify.schemas import custom_resources
from ztag_extauthz.settings import Settings
from ztag_extauthz.wire.istio import MeshWishes, objects

CORE = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
OLDEST = "1.31"
"""The oldest Kubernetes whose schema is checked; `trafficDistribution` is younger than 1.30."""
KINDS = (
    "configmap-v1",
    "deployment-apps-v1",
    "horizontalpodautoscaler-autoscaling-v2",
    "namespace-v1",
    "networkpolicy-networking-v1",
    "pod-v1",
    "poddisruptionbudget-policy-v1",
    "service-v1",
    "serviceaccount-v1",
)
MESHES: dict[str, Values] = {
    "sidecar": {"istio": ISTIO},
    "peer certificate": RIGHT["istio, peer certificate"],
    "callers and identity providers": RIGHT["istio, provider and callers"],
    "gateway": RIGHT["istio, gateway"],
    "ambient": {"istio": AMBIENT},
}
WISHES = {
    "sidecar": MeshWishes(namespace="shop"),
    "peer certificate": MeshWishes(namespace="shop", peer_certificate=True, body_bytes=8192),
    "ambient": MeshWishes(namespace="shop", mode="ambient"),
}
# What checkov finds and why it stays so.
JUSTIFIED = {
    "CKV_K8S_11": "no CPU limit: a throttled authorizer makes every request of the mesh late",
    "CKV_K8S_43": "the digest is the operator's (image.digest); the chart cannot know it",
    "CKV_K8S_15": "IfNotPresent: a pod that scales up must not depend on the registry",
    "CKV_K8S_8": "the test pod runs once; ztag's own has probes",
    "CKV2_K8S_6": "the test pod listens on nothing and is gone after seconds",
    "CKV_K8S_9": "the test pod runs once",
}


class Tools(Struct, frozen=True):
    """Where the tools are."""

    folder: Path

    def run(self, name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [str(self.folder / name), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, check=False, text=True)


def right(tools: Tools, values: Values, target: Path, work: Path) -> list[str]:
    """Render by helm into a file, and lint strictly."""
    file = _values(values, work)
    lint = tools.run("helm", "lint", "--strict", CHART, "-f", file)
    rendered = tools.run("helm", "template", "ztag", CHART, "-n", "ztag-system", "-f", file)
    target.write_text(rendered.stdout, encoding="utf-8")
    return [done.stdout + done.stderr for done in (lint, rendered) if done.returncode]


def kubeconform(tools: Tools, manifests: Path, version: str, work: Path) -> list[str]:
    """Check every object of a folder against its closed schema."""
    custom = custom_resources()
    if custom is None:
        return ["no schemas of custom resources: set CRD_SCHEMAS to their folder"]
    core = f"{_standalone(version, work)}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
    crds = f"{custom}/{{{{.Group}}}}/{{{{.ResourceKind}}}}_{{{{.ResourceAPIVersion}}}}.json"
    options = ["-strict", "-summary", "-n", "2", "-schema-location", crds, "-schema-location", core]
    done = tools.run("kubeconform", *options, manifests)
    print(f"  {version}: {done.stdout.strip().splitlines()[-1]}")
    return [] if done.returncode == 0 else [done.stdout + done.stderr]


def _standalone(version: str, work: Path) -> Path:
    """Return a folder of the core kinds' schemas, each with its definitions in it, as kubeconform wants them."""
    source = CORE / f"v{version}.0-local-strict"
    folder = work / version
    folder.mkdir()
    definitions = json.loads(_local((source / "_definitions.json").read_text(encoding="utf-8")))
    for name in KINDS:
        schema = json.loads(_local((source / f"{name}.json").read_text(encoding="utf-8")))
        schema.pop("$id", None)  # it would lead the references elsewhere
        whole = {"$schema": DIALECT, "$defs": definitions["$defs"], **schema}
        (folder / f"{name}.json").write_text(json.dumps(whole), encoding="utf-8")
    return folder


def _local(text: str) -> str:
    return re.sub(r'"[^"#]*_definitions\.json#/', '"#/', text)


def wrong(tools: Tools, values: Values, message: str, work: Path) -> list[str]:
    """Let helm refuse values, with the message."""
    refused = tools.run("helm", "template", "ztag", CHART, "-n", "ztag-system", "-f", _values(values, work))
    if refused.returncode == 0:
        return ["was not refused"]
    return [] if message in refused.stderr else [refused.stderr]


def istioctl(tools: Tools, values: Values, work: Path) -> list[str]:
    """Let istioctl validate the objects, and analyze them beside the workloads that they name."""
    manifests, mesh = work / "mesh-objects.yaml", work / "mesh.yaml"
    rendered = [found for found in render(values) if found["kind"] not in {"Pod", "HorizontalPodAutoscaler"}]
    manifests.write_text(yaml.safe_dump_all([*rendered, *_surroundings()]), encoding="utf-8")
    mesh.write_text(mesh_config(values), encoding="utf-8")
    istio = work / "istio-only.yaml"
    istio.write_text(yaml.safe_dump_all([it for it in rendered if "istio.io/" in it["apiVersion"]]), encoding="utf-8")
    validated = tools.run("istioctl", "validate", "-f", istio)
    options = ["--use-kube=false", "--meshConfigFile", str(mesh), "--failure-threshold", "Warning", "-o", "json"]
    analyzed = tools.run("istioctl", "analyze", *options, manifests)
    found = [] if validated.returncode == 0 else [validated.stdout + validated.stderr]
    return found if analyzed.returncode == 0 else [*found, analyzed.stdout + analyzed.stderr]


def wired(tools: Tools, wishes: MeshWishes, work: Path) -> list[str]:
    """Let istioctl validate what `ztag wire istio` prints."""
    listen = {"grpc": "0.0.0.0:9191", "insecure_plaintext": True}
    settings = Settings.model_validate({"listen": listen, "authentication": [JWT], "authorization": [REGO]})
    file = work / "wired.yaml"
    file.write_text(yaml.safe_dump_all(objects(settings, wishes)), encoding="utf-8")
    done = tools.run("istioctl", "validate", "-f", file)
    return [] if done.returncode == 0 else [done.stdout + done.stderr]


def mesh_config(values: Values) -> str:
    """Return the MeshConfig that the chart's notes print."""
    printed = notes(values)
    lines = printed[printed.index("    extensionProviders:") :].partition("\n\n")[0].splitlines()
    return "\n".join(line[4:] for line in lines) + "\n"


def checkov(tools: Tools, values: Values, work: Path) -> list[str]:
    """Let checkov look at the objects; what it finds is justified above or reported."""
    manifests = work / "checkov.yaml"
    manifests.write_text(yaml.safe_dump_all(render(values)), encoding="utf-8")
    options = ["--framework", "kubernetes", "--skip-download", "-o", "json"]
    report = json.loads(tools.run("checkov", "-f", manifests, *options).stdout)
    failed = report["results"]["failed_checks"]
    unused = JUSTIFIED.keys() - {it["check_id"] for it in failed}
    found = [
        f"{it['check_id']} {it['check_name']} {it['resource']}" for it in failed if it["check_id"] not in JUSTIFIED
    ]
    return [*found, *(f"{name} is justified and not found: take it out" for name in sorted(unused))]


def _values(values: Values, work: Path) -> Path:
    file = work / "values.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    return file


def _surroundings() -> list[Object]:
    """Return what the analyzers look for: the namespaces and workloads that the policies name."""

    def thing(api: str, kind: str, name: str, namespace: str = "", **rest: Any) -> Object:
        place = {"name": name, **({"namespace": namespace} if namespace else {})}
        labels = {"istio-injection": "enabled"} if kind == "Namespace" else {"app": name}
        return {"apiVersion": api, "kind": kind, "metadata": {**place, "labels": labels}, **rest}

    port = {"name": "http", "port": 8080}
    pod = {"containers": [{"name": "app", "image": "app:1"}, {"name": "istio-proxy", "image": "istio/proxyv2:1.31.0"}]}
    listener = {"name": "http", "port": 80, "protocol": "HTTP"}
    gateway = {"gatewayClassName": "istio", "listeners": [listener]}
    return [
        *(thing("v1", "Namespace", name) for name in ("ztag-system", "shop", "edge", "istio-system")),
        thing("v1", "Service", "orders", "shop", spec={"selector": {"app": "orders"}, "ports": [port]}),
        thing("v1", "Pod", "orders", "shop", spec=pod),
        thing("gateway.networking.k8s.io/v1", "Gateway", "edge", "edge", spec=gateway),
    ]
