"""What the generated Envoy writes of each request leads to ztag's audit line."""

import json
from http.client import HTTPConnection
from typing import Any

import pytest

from tests.e2e.plans import connection_manager
from tests.stores.conftest import wait_until
from ztag_extauthz.demo.client import Ask, send
from ztag_extauthz.demo.show import DECISION
from ztag_extauthz.demo.stack import Plan, Stack, policy_folder, running

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("setups")]


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


def _outcomes(stack: Stack, result: str) -> float:
    connection = HTTPConnection(*stack.ztag.admin)
    connection.request("GET", "/metrics")
    with connection.getresponse() as answer:
        lines = answer.read().decode().splitlines()
    connection.close()
    counts = (line for line in lines if line.startswith(f'ztag_risk_outcomes_total{{result="{result}"}}'))
    return sum(float(line.rpartition(" ")[2]) for line in counts)
