"""Certificates that are rotated under load, over mTLS, with two workers behind one Envoy."""

import re
import ssl
from pathlib import Path

import pytest

from tests.e2e.certificates import Authority
from tests.e2e.load import under_load
from tests.e2e.plans import ENGINES, TIMEOUT, mutual_tls, server_certificate
from ztag_extauthz.demo.cases import bearer
from ztag_extauthz.demo.client import Ask
from ztag_extauthz.demo.processes import folder_for
from ztag_extauthz.demo.stack import Plan, Stack, running
from ztag_extauthz.wire.envoy import Wishes

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("operations")]


WORKERS = 2


def served(stack: Stack) -> set[str]:
    """Return the certificates that the workers show to a new connection."""
    ready = re.search(r"^ready grpc=127\.0\.0\.1:(\d+)", stack.ztag.output(), re.MULTILINE)
    assert ready
    ports = [int(ready[1]) + worker for worker in range(WORKERS)]
    return {ssl.get_server_certificate(("127.0.0.1", port)) for port in ports}


@pytest.mark.parametrize("engine", ENGINES)
def test_never_5_a_rotation_of_certificates_fails_no_request(engine: str) -> None:
    with folder_for("rotation") as folder:
        authority = Authority(folder)
        tls, client = mutual_tls(authority)
        settings = {"server": {"engine": engine, "workers": WORKERS}, "listen": {"tls": tls}}
        with running(Plan(settings=settings, wishes=Wishes(timeout=TIMEOUT, tls=client))) as stack:
            ask = Ask(path="/orders", headers=(bearer(stack.issuer.token("ann")),))
            with under_load(stack.edge, ask) as load:
                for _ in range(3):
                    before = served(stack)
                    issued = Path(server_certificate(authority).certificate).read_text()
                    assert before.isdisjoint({issued})
                    stack.ztag.wait_until(lambda issued=issued: served(stack) == {issued}, "rotating")  # type: ignore[misc]
                    load.wait_for(200)
            assert load.statuses().keys() == {200}
