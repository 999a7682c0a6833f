"""The filters that istiod makes of our provider and policies, as Envoy gets them.

`python -m k8s.verify.istiod FOLDER` asks the real istiod (see istiod/main.go) and keeps its answer beside it, so that
the tests can run it in a real Envoy without Go; `make verify-platform` compares the two.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from k8s.verify import commands, rendering
from k8s.verify.rendering import Object

KEPT = Path(__file__).parent / "istiod" / "orders.json"
EXAMPLE = Path(__file__).parent.parent / "examples" / "shop" / "values.yaml"
WORKLOAD = ("shop", "10.0.0.5", "app=orders")
FILTERS = ("envoy.filters.http.rbac", "envoy.filters.http.ext_authz")
KUBERNETES = Path(__file__).parent / "istiod" / "kubernetes.yaml"


def values() -> Object:
    """Return the chart's values of the example."""
    return dict(yaml.safe_load(EXAMPLE.read_text(encoding="utf-8")))


def kept() -> Object:
    """Return the pair of filters and ztag's cluster, as they were when istiod was last asked."""
    return dict(json.loads(KEPT.read_text(encoding="utf-8")))


def asked(folder: Path) -> Object:
    """Ask the real istiod what the sidecar of the example's orders gets."""
    with tempfile.TemporaryDirectory(prefix="ztag-istiod-") as name:
        work = Path(name)
        istio = [found for found in rendering.render(values()) if "istio.io/" in found["apiVersion"]]
        (work / "istio.yaml").write_text(yaml.safe_dump_all(istio), encoding="utf-8")
        (work / "mesh.yaml").write_text(commands.mesh_config(values()), encoding="utf-8")
        files = [str(work / "mesh.yaml"), str(KUBERNETES), str(work / "istio.yaml")]
        command = [str(folder / "istiod-sidecar"), *files, *WORKLOAD]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    # istiod logs to the same stream.
    answer = next(line for line in reversed(done.stdout.splitlines()) if line.startswith('{"'))
    return pair(json.loads(answer))


def pair(answer: Object) -> Object:
    """Return the HTTP filters of the workload's inbound port, and the cluster that they ask."""
    inbound = next(found for found in answer["listeners"] if found["name"] == "virtualInbound")
    chain = next(found for found in inbound["filter_chains"] if found.get("name") == "0.0.0.0_8080")
    manager = next(found for found in chain["filters"] if "http_connection_manager" in found["name"])
    filters = [found for found in manager["typed_config"]["http_filters"] if found["name"] in FILTERS]
    name = asked_cluster(filters)
    return {"http_filters": filters, "cluster": next(it for it in answer["clusters"] if it["name"] == name)}


def asked_cluster(filters: list[Any]) -> str:
    config = next(found["typed_config"] for found in filters if found["name"] == FILTERS[1])
    return str(config["grpc_service"]["envoy_grpc"]["cluster_name"])


def stale(folder: Path) -> list[str]:
    """Say whether istiod answers otherwise than what is kept."""
    return [] if asked(folder) == kept() else [f"istiod answers otherwise: python -m k8s.verify.istiod {folder}"]


if __name__ == "__main__":
    KEPT.write_text(json.dumps(asked(Path(sys.argv[1])), indent=1) + "\n", encoding="utf-8")
