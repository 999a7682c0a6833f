"""Pods that come and go, as processes behind one Envoy with health checks, under load: no request fails."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.load import Load, under_load
from ztag_extauthz.demo.cases import bearer
from ztag_extauthz.demo.client import Ask
from ztag_extauthz.demo.processes import Ztag, free_ports
from ztag_extauthz.demo.stack import LOOPBACK, Plan, Stack, running
from ztag_extauthz.wire.envoy import Wishes

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("scaling")]
CHECKS = 0.5
"""Seconds between Envoy's health checks."""
DRAIN = 2.0
"""Seconds that a pod which ends goes on answering, longer than the checks take to notice. The chart has it as
`preStopSeconds` + `config.server.drain_delay`, against the second that endpoints take to leave a mesh."""
HEALTHY = "cluster.ztag.membership_healthy"


class Pods:
    """The pods of one Deployment: each a process with an endpoint that Envoy knows beforehand."""

    def __init__(self, stack: Stack, ports: list[int]) -> None:
        self._stack = stack
        self._free = ports
        self._started = 0
        self.running: list[tuple[Ztag, int]] = [(stack.ztag, ports.pop(0))]

    def start(self) -> None:
        """Start a pod, and return when Envoy asks it."""
        port, self._started = self._free.pop(0), self._started + 1
        self.running.append((Ztag(self._config(port), self._stack.folder, f"pod-{self._started}"), port))
        self.wait_for(len(self.running))

    def stop(self) -> None:
        """End the oldest pod as Kubernetes does, and return when it is gone."""
        pod, port = self.running.pop(0)
        pod.signal(signal.SIGTERM)
        assert pod.wait() == 0
        pod.stop()
        self._free.append(port)
        self.wait_for(len(self.running))

    def wait_for(self, count: int) -> None:
        self._stack.envoy.wait_until(lambda: self._stack.envoy.stats(HEALTHY).get(HEALTHY) == count, f"{count} healthy")

    def end(self) -> None:
        for pod, _ in self.running:
            pod.stop()

    def _config(self, port: int) -> Path:
        settings = yaml.safe_load(self._stack.config.read_text())
        settings["listen"] |= {"grpc": f"{LOOPBACK}:{port}", "admin": f"{LOOPBACK}:{free_ports(1)[0]}"}
        file = self._stack.folder / f"pod-{self._started}.yaml"
        file.write_text(yaml.safe_dump(settings))
        return file


@contextmanager
def deployment() -> Iterator[tuple[Pods, Load]]:
    """Yield one pod behind an Envoy that would ask four, and the load on it."""
    ports = free_ports(4)

    def know_all(document: dict[str, Any]) -> None:
        ztag = document["static_resources"]["clusters"][0]
        # As istiod has it: where few are healthy, those few are asked, not everybody.
        ztag["common_lb_config"] = {"healthy_panic_threshold": {}}
        ztag["health_checks"][0] |= {"interval": f"{CHECKS}s", "no_traffic_interval": f"{CHECKS}s"}
        endpoints = ztag["load_assignment"]["endpoints"][0]["lb_endpoints"]
        for port in ports[1:]:
            endpoints.append({"endpoint": {"address": {"socket_address": {"address": LOOPBACK, "port_value": port}}}})

    plan = Plan(
        settings={"listen": {"grpc": f"{LOOPBACK}:{ports[0]}"}, "server": {"drain_delay": DRAIN}},
        wishes=Wishes(timeout=5.0),
        change_envoy=know_all,
    )
    with running(plan) as stack:
        pods = Pods(stack, list(ports))
        try:
            ask = Ask(path="/orders", headers=(bearer(stack.issuer.token("ann")),))
            with under_load(stack.edge, ask) as load:
                yield pods, load
        finally:
            pods.end()


def test_scaling_1_3_1_and_a_rolling_restart_fail_no_request() -> None:
    with deployment() as (pods, load):
        for _ in range(2):
            pods.start()
        for _ in range(3):
            # One more before one fewer, as `maxUnavailable: 0` has it.
            pods.start()
            pods.stop()
        for _ in range(2):
            pods.stop()
        load.wait_for(300)
    assert load.statuses().keys() == {200}
    assert load.statuses()[200] > 1000
