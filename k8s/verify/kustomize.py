"""`python -m k8s.verify.kustomize`: the kustomize base and the components' objects, from the chart.

The overlays are written by hand; a test compares what each builds with the chart's rendering of the values that go by
the same name.
"""

import re
import shutil
from pathlib import Path
from typing import Any

import yaml

from k8s.verify.rendering import CHART, Object, render

VALUES = CHART.parent / "values"
TREE = CHART.parent / "kustomize"
OVERLAYS: dict[str, tuple[str, ...]] = {
    "dev": ("dev",),
    "staging": ("staging",),
    "production": ("production",),
    "region-eu": ("production", "region-eu"),
    "region-us": ("production", "region-us"),
}
"""An overlay → the files of values that say the same, the later ones on top."""
COMPONENTS: dict[str, str] = {"istio": "staging", "monitoring": "staging"}
"""A component → the values whose objects, where the base has none of that kind and name, are sorted into it."""
MONITORING = {"ServiceMonitor", "PrometheusRule"}
API = {"apiVersion": "kustomize.config.k8s.io/v1beta1"}
HELM = {"helm.sh/chart", "app.kubernetes.io/managed-by"}
HASH = re.compile(r"-[0-9a-z]{10}$")


def overlay_values(name: str) -> Object:
    """Return the values that an overlay is to equal."""
    merged: Object = {}
    for file in OVERLAYS[name]:
        merged = over(merged, yaml.safe_load((VALUES / f"{file}.yaml").read_text(encoding="utf-8")))
    return merged


def over(below: Any, above: Any) -> Any:
    """Return one tree of values laid over another, as helm does it."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return below | {key: over(below.get(key), value) for key, value in above.items()}


def plain(objects: list[Object]) -> dict[tuple[str, str, str], Object]:
    """Return objects by kind, namespace and name, without what only helm or only kustomize writes."""
    return {key(found): found for found in (unhashed(entry) for entry in without_helm(objects))}


def key(found: Object) -> tuple[str, str, str]:
    return found["kind"], found["metadata"].get("namespace", ""), found["metadata"]["name"]


def unhashed(value: Any) -> Any:
    """Return a value with generated names as they were before, and with the configuration as what it says."""
    if isinstance(value, list):
        return [unhashed(entry) for entry in value]
    if isinstance(value, str):
        # A generated ConfigMap's name ends in a digest of what it holds.
        return HASH.sub("", value) if value.startswith("ztag") else value
    if not isinstance(value, dict):
        return value
    read = {name: yaml.safe_load(entry) if name == "ztag.yaml" else entry for name, entry in value.items()}
    return {name: unhashed(entry) for name, entry in read.items()}


def without_helm(objects: list[Object]) -> list[Object]:
    """Return a release's objects without helm's labels, the checksums and the test."""
    return [cleaned(found) for found in objects if found["kind"] != "Pod"]


def cleaned(value: Any) -> Any:
    if isinstance(value, list):
        return [cleaned(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    kept = {
        name: cleaned(entry) for name, entry in value.items() if name not in HELM and not name.startswith("checksum/")
    }
    if kept.get("annotations") == {}:
        del kept["annotations"]
    return kept


def component_of(found: Object) -> str:
    dashboard = found["kind"] == "ConfigMap"
    return "monitoring" if found["kind"] in MONITORING or dashboard else "istio"


def write() -> None:
    base = without_helm(render({}))
    known = {key(found) for found in base}
    fresh(TREE / "base")
    texts: dict[str, Object] = {found["metadata"]["name"]: found for found in base if found["kind"] == "ConfigMap"}
    (TREE / "base/ztag.yaml").write_text(texts["ztag"]["data"]["ztag.yaml"], encoding="utf-8")
    (TREE / "base/deny.rego").write_text(texts["ztag-policy"]["data"]["deny.rego"], encoding="utf-8")
    generators = [
        {"name": name, "files": [file], "options": {"labels": dict(texts[name]["metadata"]["labels"])}}
        for name, file in (("ztag", "ztag.yaml"), ("ztag-policy", "deny.rego"))
    ]
    names = written(TREE / "base", [found for found in base if found["kind"] != "ConfigMap"])
    kustomization = {"kind": "Kustomization", "namespace": "ztag-system", "resources": names}
    dump(TREE / "base/kustomization.yaml", [API | kustomization | {"configMapGenerator": generators}])
    for component, values in COMPONENTS.items():
        added = [found for found in without_helm(render(overlay_values(values))) if key(found) not in known]
        fresh(TREE / "components" / component / "objects")
        written(TREE / "components" / component / "objects", [it for it in added if component_of(it) == component])


def fresh(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def written(folder: Path, objects: list[Object]) -> list[str]:
    names = []
    for found in objects:
        names.append(f"{found['kind'].lower()}-{found['metadata']['name']}.yaml")
        dump(folder / names[-1], [found])
    return names


def dump(file: Path, documents: list[Object]) -> None:
    file.write_text(yaml.safe_dump_all(documents, sort_keys=False, width=120), encoding="utf-8")


if __name__ == "__main__":
    write()
