"""Who learns from decisions is told of them after the reporters, and cannot fail them."""

import asyncio
import time
from pathlib import Path

import pytest

from tests.requests import make_request
from ztag_extauthz.authentication.anonymous import AnonymousSettings
from ztag_extauthz.authorization.interface import Authorizer
from ztag_extauthz.component import Resources
from ztag_extauthz.meter import Meter
from ztag_extauthz.model import Allow, Context, Decision, Request, Verdict
from ztag_extauthz.pipeline import Pipeline


class Pupil(Authorizer):
    kind = "pupil"

    def __init__(self, *, slow_of_wit: bool = False) -> None:
        self.heard: list[Decision] = []
        self._slow_of_wit = slow_of_wit

    async def authorize(self, context: Context, deadline: float) -> Verdict:  # noqa: ARG002
        return Allow()

    def learn(self, request: Request, decision: Decision) -> None:  # noqa: ARG002
        if self._slow_of_wit:
            raise ValueError
        self.heard.append(decision)


def test_who_learns_hears_every_decision_and_a_fault_of_theirs_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody = AnonymousSettings(kind="anonymous").build(Resources(tmp_path, time.time, Meter()))
    pupil, faulty = Pupil(), Pupil(slow_of_wit=True)
    pipeline = Pipeline([], [nobody], [faulty, pupil], [], time.time)
    decision = asyncio.run(pipeline.decide(make_request(), time.monotonic() + 1))
    pipeline.report(make_request(), decision)
    assert pupil.heard == [decision]
    assert "pupil cannot take note of decisions: ValueError" in capsys.readouterr().err
