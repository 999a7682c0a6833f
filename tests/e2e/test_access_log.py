"""What the generated Envoy writes of each request leads to ztag's audit line."""

import json

import pytest

from ztag_extauthz.demo.client import Ask, send
from ztag_extauthz.demo.show import DECISION
from ztag_extauthz.demo.stack import Plan, running

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
