"""Envoys on loopback that differ in who decides: nobody, Envoy's own filters, ztag, or a peer."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import yaml
from msgspec import Struct

from loadtest.corpus import AUDIENCE, ISSUER
from loadtest.edge import answer_itself
from loadtest.load.open_loop import Ask, Load, Shot
from loadtest.workload import Workload
from ztag_extauthz.demo.processes import Envoy, free_ports
from ztag_extauthz.demo.stack import LOOPBACK, Plan, envoy_document
from ztag_extauthz.wire.bootstrap import Surroundings
from ztag_extauthz.wire.envoy import Wishes


class Figures(Struct, frozen=True):
    """What one run found; times in seconds, CPU in seconds a thousand requests."""

    rate: float
    p50: float
    p99: float
    envoy_cpu: float
    server_cpu: float
    generator_cpu: float
    failed: int


class Edge:
    """An Envoy with one thread, and the process that decides for it."""

    def __init__(self, name: str, envoy: Envoy, address: tuple[str, int], server: int | None) -> None:
        self.name = name
        self.envoy = envoy
        self.address = address
        self.server = server

    def ask(self, asks: Sequence[Ask], rate: float, seconds: float) -> Figures:
        """Ask at a rate (0: as fast as answers come), and keep the figures."""
        load = Load(self.address, asks, rate)
        before = self._cpu(load.pid)
        time.sleep(seconds)
        after = self._cpu(load.pid)
        shots, _ = load.stop()
        return _figures(shots, seconds, [now - then for now, then in zip(after, before, strict=True)])

    def _cpu(self, generator: int) -> Sequence[float]:
        return [cpu_of(pid) if pid else 0.0 for pid in (self.envoy.pid, self.server, generator)]


def cpu_of(pid: int) -> float:
    """Return the seconds of CPU that the threads of a process have taken."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) * 1e-9


def _figures(shots: Sequence[Shot], seconds: float, cpu: Sequence[float]) -> Figures:
    """Return the figures of a run, of whose CPU the first `seconds` are known."""
    passed = max(shot.answered for shot in shots) - min(shot.due for shot in shots)
    cuts = quantiles([shot.latency for shot in shots], n=100)
    failed = sum(shot.wrong or shot.status == 0 or shot.status >= 500 for shot in shots)
    rate = len(shots) / passed
    envoy, server, generator = (spent / seconds / rate * 1000 for spent in cpu)
    return Figures(rate, cuts[49], cuts[98], envoy, server, generator, failed)


def start(parts: ExitStack, name: str, load: Workload, decider: str, server: int | None = None) -> Edge:
    """Start an Envoy; `decider` is an address of a gRPC server, `nobody`, or `envoy` for Envoy's own filters."""
    port, admin = free_ports(2)
    config = load.folder / "edge.yaml"
    grpc, admin_of_ztag = (decider if ":" in decider else f"{LOOPBACK}:1"), f"{LOOPBACK}:2"
    said = yaml.safe_load((load.folder / "ztag.yaml").read_text())
    config.write_text(yaml.safe_dump({**said, "listen": {"grpc": grpc, "admin": admin_of_ztag}}))
    around = Surroundings(listen=(LOOPBACK, port), admin=(LOOPBACK, admin), upstream=(LOOPBACK, 3))
    plan = Plan(wishes=Wishes(timeout=1.0, body_bytes=8192), change_envoy=answer_itself)
    document = envoy_document(plan, config, around)
    if ":" not in decider:
        _decide_without_a_call(document, load, own=decider == "envoy")
    for cluster in document["static_resources"]["clusters"]:
        cluster.pop("health_checks", None)  # a peer has none
    envoy = Envoy(document, (LOOPBACK, admin), load.folder, f"envoy-{port}")
    parts.callback(envoy.stop)
    return Edge(name, envoy, (LOOPBACK, port), server)


def _decide_without_a_call(document: dict[str, Any], load: Workload, *, own: bool) -> None:
    """Replace the ext_authz filter: by Envoy's own verification and rules, or by nothing."""
    manager = document["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    router = [one for one in manager["http_filters"] if one["name"].endswith("router")]
    manager["http_filters"] = [*(_own_filters(load) if own else []), *router]


def _own_filters(load: Workload) -> list[dict[str, Any]]:
    keys = (load.folder / "jwks.json").read_text()
    provider = {"issuer": ISSUER, "audiences": [AUDIENCE], "local_jwks": {"inline_string": keys}, "forward": True}
    provider |= {"claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}]}
    provider |= {"jwt_cache_config": {"jwt_cache_size": 10_000}}  # as it comes, it verifies each token again
    rules = [{"match": {"prefix": "/"}, "requires": {"provider_name": "issuer"}}]
    reading = {"header": {"name": ":method", "string_match": {"exact": "GET"}}}
    orders = {"url_path": {"path": {"prefix": "/orders"}}}
    allowed = {"permissions": [{"and_rules": {"rules": [orders, reading]}}], "principals": [{"any": True}]}
    return [
        _filter("jwt_authn", "jwt_authn.v3.JwtAuthentication", {"providers": {"issuer": provider}, "rules": rules}),
        _filter("rbac", "rbac.v3.RBAC", {"rules": {"action": "ALLOW", "policies": {"orders": allowed}}}),
    ]


def _filter(name: str, kind: str, settings: dict[str, Any]) -> dict[str, Any]:
    address = f"type.googleapis.com/envoy.extensions.filters.http.{kind}"
    return {"name": f"envoy.filters.http.{name}", "typed_config": {"@type": address, **settings}}


def medians(runs: Sequence[Figures]) -> Figures:
    """Return the median of each figure; of failures the sum."""
    names = ("rate", "p50", "p99", "envoy_cpu", "server_cpu", "generator_cpu")
    values = {name: median(getattr(run, name) for run in runs) for name in names}
    return Figures(**values, failed=sum(run.failed for run in runs))


def asks(tokens: Sequence[str]) -> Sequence[Ask]:
    """Return a request for each token and one of ten paths; each is allowed."""
    lines = ((token, path) for token in tokens for path in range(10))
    head = "GET /orders/{} HTTP/1.1\r\nhost: shop.example\r\nuser-agent: loadtest\r\nauthorization: Bearer {}\r\n\r\n"
    return [Ask(head.format(path, token).encode(), 200) for token, path in lines]


def tokens_of(load: Workload) -> Sequence[str]:
    """Return the workload's tokens, each once."""
    from envoy.service.auth.v3.external_auth_pb2 import CheckRequest  # noqa: PLC0415

    headers = (CheckRequest.FromString(one).attributes.request.http.headers for one in load.messages[::10])
    return [one["authorization"].removeprefix("Bearer ") for one in headers]
