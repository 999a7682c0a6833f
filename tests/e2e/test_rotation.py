"""Certificates that are rotated under load, over mTLS, with two workers behind one Envoy."""

from functools import partial

import pytest

from tests.e2e.load import under_load
from tests.e2e.plans import ENGINES, TIMEOUT, mutual_tls
from ztag_extauthz.demo.cases import bearer
from ztag_extauthz.demo.client import Ask
from ztag_extauthz.demo.processes import Ztag, folder_for
from ztag_extauthz.demo.stack import Plan, running
from ztag_extauthz.wire.envoy import Wishes

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("operations")]


def reloaded(ztag: Ztag, times: int) -> bool:
    return ztag.output().count("reloaded") >= times


@pytest.mark.parametrize("engine", ENGINES)
def test_never_5_a_rotation_of_certificates_fails_no_request(engine: str) -> None:
    with folder_for("rotation") as folder:
        tls, client = mutual_tls(folder)
        settings = {"server": {"engine": engine, "workers": 2}, "listen": {"tls": tls}}
        with running(Plan(settings=settings, wishes=Wishes(timeout=TIMEOUT, tls=client))) as stack:
            ask = Ask(path="/orders", headers=(bearer(stack.issuer.token("ann")),))
            with under_load(stack.edge, ask) as load:
                for rotation in range(1, 5):
                    # A blank line more is the same certificate, but not the same file.
                    with open(tls["certificate"], "a") as file:  # noqa: PTH123 - appended to, not replaced
                        file.write("\n")
                    stack.ztag.wait_until(partial(reloaded, stack.ztag, rotation), "rotating")
                    load.wait_for(200)
            assert load.statuses().keys() == {200}
