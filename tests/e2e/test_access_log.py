"""What the generated Envoy writes of each request leads to ztag's audit line."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any

import pytest

from tests.e2e.plans import TIMEOUT, connection_manager
from tests.stores.conftest import wait_until
from ztag_extauthz.demo.client import Ask, send
from ztag_extauthz.demo.show import DECISION
from ztag_extauthz.demo.stack import Plan, Stack, policy_folder, running
from ztag_extauthz.stores.kernels import warm
from ztag_extauthz.wire.envoy import Wishes

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("setups")]


@pytest.fixture(scope="module", autouse=True)
def _kernels_are_compiled() -> None:
    """On a cold cache compiling takes longer than a server is waited for."""
    warm("ztag_extauthz.stores.limits.semaphore")
    warm("ztag_extauthz.authorization.risk.kernel")


def test_the_access_log_has_the_id_of_the_decision_and_no_query() -> None:
    with running(Plan()) as stack:
        allowed = send(stack.edge, Ask(path="/health?key=s3cret"))
        denied = send(stack.edge, Ask(path="/orders"))
        stack.envoy.stop()  # it writes what it held back
        lines = [json.loads(line) for line in stack.envoy.output().splitlines() if line.startswith("{")]
    ids = [*allowed.seen_header(DECISION), denied.header(DECISION)]
    assert [(line["path"], line["decision_id"], line["status"]) for line in lines] == [
        ("/health", ids[0], 200),
        ("/orders", ids[1], 401),
    ]


def test_the_risk_scorer_hears_how_requests_end() -> None:
    """By Envoy's gRPC access log, which the generated configuration has as soon as anybody wants to know."""
    authorization = [
        {"kind": "risk", "outcomes": True},
        {"kind": "rego", "policies": [str(policy_folder())], "decision": "envoy/authz/result"},
    ]
    plan = Plan(settings={"authorization": authorization}, change_envoy=_refuse_what_says_so)
    with running(plan) as stack:
        assert send(stack.edge, Ask(path="/health")).status == 200
        assert [send(stack.edge, Ask(path="/health", headers=(("x-wrong", "1"),))).status for _ in range(3)] == [
            401
        ] * 3
        wait_until(lambda: (_outcomes(stack, "ok"), _outcomes(stack, "failed")) == (1, 3), 30)


def _refuse_what_says_so(document: dict[str, Any]) -> None:
    wrong = {"name": "x-wrong", "present_match": True}
    routes = connection_manager(document)["route_config"]["virtual_hosts"][0]["routes"]
    routes.insert(0, {"match": {"prefix": "/", "headers": [wrong]}, "direct_response": {"status": 401}})


def test_a_place_is_held_until_the_request_ends() -> None:
    """Of two places, both taken by requests whose bodies are still to come; what is denied holds none."""
    two = {"name": "running", "limit": 2, "by": ["host"], "longest": 3600}
    authorization = [
        {"kind": "quota", "concurrent": [two]},
        {"kind": "rego", "policies": [str(policy_folder())], "decision": "envoy/authz/result"},
    ]
    plan = Plan(settings={"authorization": authorization}, wishes=Wishes(timeout=TIMEOUT))
    with running(plan) as stack, _unfinished(stack) as first, _unfinished(stack) as second:
        wait_until(lambda: _places(stack) == (2, 0), 30)
        refused = send(stack.edge, Ask(path="/health"))
        assert (refused.status, refused.header("retry-after")) == (429, "1")
        assert refused.header("ratelimit-policy") == '"running";q=2;qu="concurrent-requests"'
        first.send(b"12345")
        assert first.recv(12) == b"HTTP/1.1 200"
        wait_until(lambda: _places(stack) == (2, 1), 30)
        assert [send(stack.edge, Ask(path="/orders")).status for _ in range(3)] == [401] * 3
        second.close()  # its client is gone
        wait_until(lambda: _places(stack) == (5, 5), 30)
        assert send(stack.edge, Ask(path="/health")).status == 200


@contextmanager
def _unfinished(stack: Stack) -> Iterator[socket.socket]:
    """Send a request without its body."""
    with socket.create_connection(stack.edge, 30) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 5\r\n\r\n")
        yield connection


def _outcomes(stack: Stack, result: str) -> float:
    return _count(stack, f'ztag_risk_outcomes_total{{result="{result}"}}')


def _places(stack: Stack) -> tuple[float, float]:
    return _count(stack, 'ztag_places_total{move="taken"}'), _count(stack, 'ztag_places_total{move="returned"}')


def _count(stack: Stack, series: str) -> float:
    connection = HTTPConnection(*stack.ztag.admin)
    connection.request("GET", "/metrics")
    with connection.getresponse() as answer:
        lines = answer.read().decode().splitlines()
    connection.close()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(series))
