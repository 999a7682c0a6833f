"""One worker, as its supervisor hears it."""

import multiprocessing
import time
from pathlib import Path

from ztag_extauthz.meter import CELLS
from ztag_extauthz.server.engine import Place
from ztag_extauthz.server.messages import Accepting, Condition, Drain, Unusable
from ztag_extauthz.server.sockets import bind
from ztag_extauthz.server.worker import Assignment, main
from ztag_extauthz.settings import load

CONFIG = """
authentication: [{kind: anonymous}]
authorization: [{kind: rego, policies: [policy.rego]}]
revocation: {redis: {url: "redis://ztag:hidden@127.0.0.1:1"}, secret: an example that is long enough to be one}
server: {drain_delay: 0}
"""
GIVE_UP = 60.0


def test_while_it_waits_for_what_is_not_ready_it_says_what_that_is(tmp_path: Path) -> None:
    (tmp_path / "ztag.yaml").write_text(CONFIG)
    (tmp_path / "policy.rego").write_text("package envoy.authz\n\ndefault result := true\n")
    bound = bind("127.0.0.1:0", handed_over=True)
    place = Place(bound.address, bound.socket, None)
    context = multiprocessing.get_context("spawn")
    cells = multiprocessing.RawArray("d", CELLS)
    assignment = Assignment(place, load(tmp_path / "ztag.yaml", {}), tmp_path, cells)
    ours, theirs = multiprocessing.Pipe()
    process = context.Process(target=main, args=(assignment, theirs))
    process.start()
    bound.close()
    theirs.close()
    told: list[object] = []
    until = time.monotonic() + GIVE_UP
    while not (told and isinstance(told[-1], Accepting)):
        assert ours.poll(until - time.monotonic())
        told.append(ours.recv())
        assert not isinstance(told[-1], Unusable), told[-1]
    ours.send(Drain())
    process.join(GIVE_UP)
    assert process.exitcode == 0
    before = [report.components[0] for report in told if isinstance(report, Condition)]
    assert {(entry.component, entry.ready) for entry in before} == {("revocations", False)}
    assert "redis at 127.0.0.1:1: ConnectionError: " in before[-1].detail
    assert "hidden" not in before[-1].detail
