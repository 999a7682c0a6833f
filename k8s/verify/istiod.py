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
from msgspec import Struct

from k8s.verify import commands, rendering
from k8s.verify.cases import AMBIENT
from k8s.verify.rendering import Object

FOLDER = Path(__file__).parent / "istiod"
EXAMPLE = Path(__file__).parent.parent / "examples" / "shop" / "values.yaml"
FILTERS = ("envoy.filters.http.rbac", "envoy.filters.http.ext_authz")


class Proxy(Struct, frozen=True):
    """An Envoy of the mesh, and which of its filter chains is looked at."""

    kind: str
    cluster: str
    """The file of core objects that istiod is told of."""
    place: tuple[str, ...]
    """Namespace, address, labels."""
    listener: str
    chain: str


PROXIES = {
    "orders": Proxy("sidecar", "kubernetes.yaml", ("shop", "10.0.0.5", "app=orders"), "virtualInbound", "0.0.0.0_8080"),
    "waypoint": Proxy(
        "waypoint",
        "waypoint.yaml",
        (
            "shop",
            "10.0.0.6",
            "gateway.networking.k8s.io/gateway-name=waypoint",
            "gateway.istio.io/managed=istio.io-mesh-controller",
        ),
        "main_internal",
        "inbound-vip|8080|http|orders.shop.svc.cluster.local",
    ),
}


def values(name: str = "orders") -> Object:
    """Return the chart's values that a proxy's policies come from."""
    return {"istio": AMBIENT} if name == "waypoint" else dict(yaml.safe_load(EXAMPLE.read_text(encoding="utf-8")))


def kept(name: str = "orders") -> Object:
    """Return the filters and ztag's cluster, as they were when istiod was last asked."""
    return dict(json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")))


def asked(folder: Path, name: str) -> Object:
    """Ask the real istiod what a proxy gets."""
    proxy = PROXIES[name]
    with tempfile.TemporaryDirectory(prefix="ztag-istiod-") as temporary:
        work = Path(temporary)
        istio = [found for found in rendering.render(values(name)) if "istio.io/" in found["apiVersion"]]
        (work / "istio.yaml").write_text(yaml.safe_dump_all(istio), encoding="utf-8")
        (work / "mesh.yaml").write_text(commands.mesh_config(values(name)), encoding="utf-8")
        files = [str(work / "mesh.yaml"), str(FOLDER / proxy.cluster), str(work / "istio.yaml")]
        command = [str(folder / "istiod-sidecar"), proxy.kind, *files, *proxy.place]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    # istiod logs to the same stream.
    answer = next(line for line in reversed(done.stdout.splitlines()) if line.startswith('{"'))
    return pair(json.loads(answer), proxy)


def pair(answer: Object, proxy: Proxy) -> Object:
    """Return the HTTP filters of the workload's port that authorize, and the cluster that they ask."""
    listener = next(found for found in answer["listeners"] if found["name"] == proxy.listener)
    chain = next(found for found in listener["filter_chains"] if found.get("name") == proxy.chain)
    manager = next(found for found in chain["filters"] if "http_connection_manager" in found["name"])
    filters = [found for found in manager["typed_config"]["http_filters"] if found["name"] in FILTERS]
    name = asked_cluster(filters)
    return {"http_filters": filters, "cluster": next(it for it in answer["clusters"] if it["name"] == name)}


def asked_cluster(filters: list[Any]) -> str:
    config = next(found["typed_config"] for found in filters if found["name"] == FILTERS[1])
    return str(config["grpc_service"]["envoy_grpc"]["cluster_name"])


def stale(folder: Path, name: str) -> list[str]:
    """Say whether istiod answers otherwise than what is kept."""
    return (
        [] if asked(folder, name) == kept(name) else [f"istiod answers otherwise: python -m k8s.verify.istiod {folder}"]
    )


if __name__ == "__main__":
    for each in PROXIES:
        (FOLDER / f"{each}.json").write_text(
            json.dumps(asked(Path(sys.argv[1]), each), indent=1) + "\n", encoding="utf-8"
        )
