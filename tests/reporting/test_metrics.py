import pytest

from tests.reporting.parts import DECISION, REQUEST, decided
from ztag_extauthz.meter import CELLS, SERIES, Meter, add_up
from ztag_extauthz.model import Allow, Decision, Deny, Failed, Reason, Stage, Timings
from ztag_extauthz.reporting.metrics import Metrics


def report(*decisions: Decision) -> list[float]:
    cells = [0.0] * CELLS
    metrics = Metrics(Meter(cells))
    for decision in decisions:
        metrics.report(REQUEST, decision)
    return cells


def test_counts_decisions_and_the_time_of_the_stages_that_were_reached() -> None:
    refused = decided(verdict=Deny(Reason.AMBIGUOUS_PATH), stage=Stage.ADMISSION, timings=Timings(9))
    cells = report(DECISION, DECISION, refused)
    samples = {(sample.name, *sample.labels.values()): list(sample.cells) for sample in add_up([cells])}
    assert samples["ztag_decisions", "allow", "", "authorization"] == [2]
    assert samples["ztag_decisions", "deny", "ambiguous_path", "admission"] == [1]
    assert sum(samples["ztag_stage_seconds", "admission"][:-1]) == 3
    assert sum(samples["ztag_stage_seconds", "authorization"][:-1]) == 2
    assert samples["ztag_stage_seconds", "authorization"][-1] == pytest.approx(60e-6)


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("reason", Reason)
def test_every_decision_has_a_series(reason: Reason, stage: Stage) -> None:
    cells = report(*(decided(verdict=verdict, stage=stage) for verdict in (Allow(), Deny(reason), Failed(reason))))
    refusal = "answered" if reason is Reason.ANSWERED else "deny"
    for labels in (("allow", "", stage), (refusal, reason, stage), ("error", reason, stage)):
        assert cells[SERIES["ztag_decisions", labels]] == 1
