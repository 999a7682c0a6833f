"""Reload, drain and loss of a worker under load, with two workers behind one Envoy."""

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.load import under_load
from tests.e2e.plans import ENGINES, TIMEOUT
from ztag_extauthz.demo.cases import bearer
from ztag_extauthz.demo.client import Ask
from ztag_extauthz.demo.processes import Ztag, fetch, free_ports
from ztag_extauthz.demo.stack import LOOPBACK, Plan, Stack, running
from ztag_extauthz.wire.envoy import Wishes

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("operations")]


@pytest.fixture(params=ENGINES)
def two_workers(request: pytest.FixtureRequest) -> Iterator[Stack]:
    # The delay is for what Envoy has sent off when the workers are told to end.
    settings = {"server": {"engine": request.param, "workers": 2, "drain_delay": 0.5}}
    with running(Plan(settings=settings, wishes=Wishes(timeout=TIMEOUT))) as stack:
        yield stack


def orders(stack: Stack) -> Ask:
    return Ask(path="/orders", headers=(bearer(stack.issuer.token("ann")),))


def endpoint_counts(stack: Stack) -> list[int]:
    """Return the checks that each worker's endpoint was asked for."""
    text = fetch(stack.envoy.admin, "/clusters")[1].decode()
    return [int(count) for count in re.findall(r"^ztag::\S+?::rq_total::(\d+)$", text, re.MULTILINE)]


def workers_of(stack: Stack) -> list[int]:
    """Return the processes that hold a worker, which are the grandchildren of ztag's own."""
    return [grandchild for child in _children(stack.ztag.pid) for grandchild in _children(child)]


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_one_envoy_thread_loads_two_workers_within_40_to_60(two_workers: Stack) -> None:
    """Who gets less of a processor for a while gets fewer requests, as it should: so one of ten tries decides."""
    assert any(_smaller_share(two_workers) >= 0.4 for _ in range(10))


def _smaller_share(stack: Stack) -> float:
    before = endpoint_counts(stack)
    with under_load(stack.edge, orders(stack)) as load:
        load.wait_for(2000)
    asked = [after - earlier for after, earlier in zip(endpoint_counts(stack), before, strict=True)]
    assert len(asked) == 2
    return min(asked) / sum(asked)


def test_never_5_a_reload_fails_no_request(two_workers: Stack) -> None:
    with under_load(two_workers.edge, orders(two_workers)) as load:
        for _ in range(5):
            two_workers.ztag.signal(signal.SIGHUP)
            load.wait_for(300)
    assert load.statuses().keys() == {200}


def test_never_5_a_reload_takes_the_new_policy_and_keeps_the_old_one_if_it_is_bad(two_workers: Stack) -> None:
    good = two_workers.config.read_text()
    rego = two_workers.folder / "new.rego"
    settings = yaml.safe_load(good)
    (kind,) = (kind for kind in settings["authorization"] if kind["kind"] == "rego")
    kind["policies"] = [str(rego)]
    with under_load(two_workers.edge, orders(two_workers)) as load:
        rego.write_text("package envoy.authz\n\nresult := := 1\n")
        two_workers.config.write_text(yaml.safe_dump(settings))
        two_workers.ztag.signal(signal.SIGHUP)
        two_workers.ztag.wait_until(lambda: "new.rego:3" in two_workers.ztag.output(), "refusing the policy")
        load.wait_for(200)
        assert load.statuses().keys() == {200}
        rego.write_text("package envoy.authz\n\nresult := false\n")
        two_workers.ztag.signal(signal.SIGHUP)
        two_workers.ztag.wait_until(lambda: 403 in load.statuses(), "taking the new policy")
        load.wait_for(200)
    assert load.statuses().keys() == {200, 403}


def test_never_5_a_drain_answers_what_was_asked_before_it(two_workers: Stack) -> None:
    with under_load(two_workers.edge, orders(two_workers)) as load:
        told = time.monotonic()
        two_workers.ztag.signal(signal.SIGTERM)
        code = two_workers.ztag.wait()
        load.wait_for(50)
    assert code == 0
    assert {shot.status for shot in load.shots} <= {200, 503}
    assert [shot for shot in load.shots if shot.sent < told and shot.status != 200] == []


def test_never_5_a_rolling_restart_fails_no_request() -> None:
    """Two instances as two pods: one drains while the other answers."""
    first, second, admin = free_ports(3)
    plan = Plan(
        settings={"listen": {"grpc": f"{LOOPBACK}:{first}"}, "server": {"drain_delay": 1.0}},
        wishes=Wishes(timeout=TIMEOUT),
        change_envoy=lambda document: _add_endpoint(document, second),
    )
    with running(plan) as stack:
        text = yaml.safe_load(stack.config.read_text())
        text["listen"] |= {"grpc": f"{LOOPBACK}:{second}", "admin": f"{LOOPBACK}:{admin}"}
        other_config = stack.folder / "other.yaml"
        other_config.write_text(yaml.safe_dump(text))
        other = Ztag(other_config, stack.folder, "other")
        try:
            name = "cluster.ztag.membership_healthy"
            stack.envoy.wait_until(lambda: stack.envoy.stats(name).get(name) == 2, "finding both healthy")
            with under_load(stack.edge, orders(stack)) as load:
                stack.ztag.signal(signal.SIGTERM)
                assert stack.ztag.wait() == 0
                load.wait_for(500)
            assert load.statuses().keys() == {200}
        finally:
            other.stop()


def _add_endpoint(document: dict[str, Any], port: int) -> None:
    clusters = document["static_resources"]["clusters"]
    endpoints = clusters[0]["load_assignment"]["endpoints"][0]["lb_endpoints"]
    endpoints.append({"endpoint": {"address": {"socket_address": {"address": LOOPBACK, "port_value": port}}}})


def test_never_5_a_killed_worker_fails_no_request_and_comes_back(two_workers: Stack) -> None:
    workers = workers_of(two_workers)
    assert len(workers) == 2
    with under_load(two_workers.edge, orders(two_workers)) as load:
        os.kill(workers[0], signal.SIGKILL)
        load.wait_for(500)
    assert load.statuses().keys() == {200}
    two_workers.ztag.wait_until(lambda: len(set(workers_of(two_workers)) - set(workers)) == 1, "replacing a worker")
