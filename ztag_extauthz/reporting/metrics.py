"""Decisions and the time they took, counted. What ztag always does; it has no settings."""

from itertools import product

from ztag_extauthz.again import Told
from ztag_extauthz.meter import Meter
from ztag_extauthz.model import Allow, Decision, Deny, Failed, Outcome, Reason, Request, Stage
from ztag_extauthz.reporting.interface import Reporter
from ztag_extauthz.reporting.record import outcome_of


class Metrics(Reporter):
    """Counts into the worker's cells. Every series is looked up here, so that a report is a few additions."""

    kind = "metrics"

    def __init__(self, meter: Meter) -> None:
        self._add = meter.add
        self._observe = meter.observe
        series = meter.series
        self._allows = {stage: series("ztag_decisions", Outcome.ALLOW, "", stage) for stage in Stage}
        self._refusals = {
            (kind, reason, stage): series("ztag_decisions", outcome_of(kind(reason)), reason, stage)
            for kind, reason, stage in product((Deny, Failed), Reason, Stage)
        }
        self._admission, self._authentication, self._authorization = (
            series("ztag_stage_seconds", stage) for stage in Stage
        )

    def report(self, request: Request, decision: Decision) -> None:  # noqa: ARG002 - nothing a caller sends is a label
        """See `Reporter.report`."""
        self._add(self._series(decision))
        timings = decision.timings
        self._observe(self._admission, timings.admission * 1e-9)
        if timings.authentication:
            self._observe(self._authentication, timings.authentication * 1e-9)
        if timings.authorization:
            self._observe(self._authorization, timings.authorization * 1e-9)

    def again(self, request: Request, decision: Decision) -> Told:  # noqa: ARG002
        series = self._series(decision)
        return lambda *_: self._add(series)

    def _series(self, decision: Decision) -> int:
        verdict, stage = decision.verdict, decision.stage
        return (
            self._allows[stage] if isinstance(verdict, Allow) else self._refusals[type(verdict), verdict.reason, stage]
        )
