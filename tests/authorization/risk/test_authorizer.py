"""`kind: risk`: bands, challenges, and from whom it learns."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from tests.authentication.parts import Clock
from tests.requests import make_identity, make_request
from ztag_extauthz.authorization.risk import RiskSettings
from ztag_extauthz.authorization.risk.authorizer import Risk  # noqa: TC001 - as plain as in any other test
from ztag_extauthz.authorization.risk.model import Model, write_model
from ztag_extauthz.component import Resources
from ztag_extauthz.errors import SettingsError
from ztag_extauthz.meter import CELLS, Meter
from ztag_extauthz.model import (
    EMPTY,
    Allow,
    Context,
    Decision,
    Deny,
    Identity,
    Reason,
    Request,
    Stage,
    Timings,
    Verdict,
)

HOME = make_request("198.51.100.7", headers={"user-agent": "Firefox/128", "x-ja4": "home"})
AWAY = make_request("203.0.113.9", headers={"user-agent": "curl/8", "x-ja4": "away"})


class Case:
    """A scorer, its clock, and the pipeline's part."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        write_model(folder / "model.json", Model(elevated=0.01, high=0.9), {})
        self.clock, self.cells = Clock(), [0.0] * CELLS
        document = {"kind": "risk", "model": "model.json", "fingerprint_header": "x-ja4", **settings}
        self.risk: Risk = RiskSettings.model_validate(document).build(Resources(folder, self.clock, Meter(self.cells)))

    def ask(self, request: Request, identity: Identity | None = None, *, later: Verdict | None = None) -> Verdict:
        """Authorize, and tell what was decided; `later` is what the policy after it said."""
        who = identity or make_identity()
        request = replace(request)
        verdict = asyncio.run(self.risk.authorize(Context(request, who), 0))
        decided = later if later is not None and isinstance(verdict, Allow) else verdict
        self.tell(request, decided, who)
        self.clock.now += 61
        return verdict

    def tell(
        self, request: Request, verdict: Verdict, who: Identity | None, stage: Stage = Stage.AUTHORIZATION
    ) -> None:
        self.risk.learn(request, Decision("", self.clock.now, verdict, stage, "", who, EMPTY, Timings()))

    def settle_in(self, *, later: Verdict | None = None) -> None:
        """Let a crowd of users visit from their homes, alice from hers."""
        for turn in range(400):
            number = turn % 40
            crowd = make_request(f"10.1.{number}.1", headers={"user-agent": f"Chrome/{number}", "x-ja4": f"j{number}"})
            self.ask(crowd, make_identity(f"user{number}"))
            if turn % 8 == 0:
                self.ask(HOME, later=later)


def facts(verdict: Verdict) -> dict[str, Any]:
    assert isinstance(verdict, Allow)
    found: dict[str, Any] = verdict.facts["risk"]
    return found


def test_tells_the_policy_score_band_and_signals(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.settle_in()
    usual, strange = facts(case.ask(HOME)), facts(case.ask(AWAY))
    assert usual["band"] == "low"
    assert strange["band"] == "elevated"
    assert strange["score"] > usual["score"]
    assert {"address", "device", "agent"} & set(strange["signals"])


def test_denies_with_the_reasons(tmp_path: Path) -> None:
    case = Case(tmp_path, elevated="deny")
    case.settle_in()
    verdict = case.ask(AWAY)
    assert isinstance(verdict, Deny)
    assert verdict.reason is Reason.RISK
    assert "address" in verdict.detail


def test_challenges_and_lets_through_who_has_passed(tmp_path: Path) -> None:
    """RFC 9470."""
    case = Case(tmp_path, elevated="step_up", step_up={"acr_values": ["mfa", "hwk"], "max_age": 300})
    case.settle_in()
    verdict = case.ask(AWAY)
    assert isinstance(verdict, Deny)
    assert verdict.reason is Reason.STEP_UP
    assert verdict.headers == (
        (
            "www-authenticate",
            (
                'Bearer error="insufficient_user_authentication", error_description="A stronger or fresher sign-in is '
                'required", acr_values="mfa hwk", max_age="300"'
            ),
        ),
    )
    for claims in ({"acr": "mfa"}, {"acr": "pwd", "auth_time": case.clock.now}, {"acr": "mfa", "auth_time": 1e9}):
        assert isinstance(case.ask(AWAY, make_identity(claims=claims)), Deny)
    passed = make_identity(claims={"acr": "hwk", "auth_time": case.clock.now - 10})
    assert isinstance(case.ask(AWAY, passed), Allow)


def test_limits_harder(tmp_path: Path) -> None:
    tight = {"limits": [{"name": "risky", "limit": "2/hour", "by": ["subject"]}]}
    case = Case(tmp_path, elevated="limit", limits=tight)
    case.settle_in()
    answers = [case.ask(AWAY) for _ in range(3)]
    assert [type(answer) for answer in answers] == [Allow, Allow, Deny]


def score(verdict: Verdict) -> float:
    return float(facts(verdict)["score"])


def test_learns_nothing_from_what_is_above_the_threshold(tmp_path: Path) -> None:
    """However often an attacker comes, they do not become usual, though every request was allowed."""
    case = Case(tmp_path)
    case.settle_in()
    first = score(case.ask(AWAY))
    for _ in range(50):
        case.ask(AWAY)
    assert facts(case.ask(AWAY))["band"] != "low"
    assert score(case.ask(AWAY)) > 0.9 * first


def test_learns_nothing_from_what_a_later_kind_refused(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.settle_in(later=Deny(Reason.POLICY))
    known = Case(tmp_path)
    known.settle_in()
    assert case.risk._state.longs[1] == known.risk._state.longs[1] - 1, "alice is unknown"


def test_learns_from_a_passed_step_up(tmp_path: Path) -> None:
    case = Case(tmp_path, elevated="step_up", step_up={"acr_values": ["mfa"]})
    case.settle_in()
    before = case.ask(AWAY)
    for _ in range(3):
        case.ask(AWAY, make_identity(claims={"acr": "mfa", "auth_time": case.clock.now}))
    assert isinstance(before, Deny)
    assert isinstance(case.ask(AWAY), Allow)


def test_refused_credentials_count_against_their_address(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.settle_in()
    before = score(case.ask(AWAY, make_identity("somebody")))
    for _ in range(30):
        case.tell(AWAY, Deny(Reason.INVALID_CREDENTIALS), None, Stage.AUTHENTICATION)
    assert score(case.ask(AWAY, make_identity("somebody else"))) > 3 * before


def test_what_the_upstream_refuses_counts_against_whom_it_was_allowed(tmp_path: Path) -> None:
    case = Case(tmp_path, outcomes=True)
    case.settle_in()
    before = score(case.ask(HOME, make_identity("mallory")))
    for _ in range(20):
        verdict = case.ask(HOME, make_identity("mallory"))
        assert isinstance(verdict, Allow)
        case.risk.ended(verdict.notes["risk"], 401)
    assert score(case.ask(HOME, make_identity("mallory"))) > 3 * before
    assert case.cells[Meter.series("ztag_risk_outcomes", "failed")] == 20


def test_a_request_that_nobody_answered_counts_for_nothing(tmp_path: Path) -> None:
    case = Case(tmp_path, outcomes=True)
    verdict = case.ask(HOME)
    assert isinstance(verdict, Allow)
    case.risk.ended(verdict.notes["risk"], 0)
    assert [case.cells[Meter.series("ztag_risk_outcomes", result)] for result in ("ok", "failed")] == [0, 0]


@pytest.mark.parametrize("note", ["", "x", "AAAA", "é", "A" * 400])
def test_a_note_that_is_not_ours_counts_for_nothing(tmp_path: Path, note: str) -> None:
    case = Case(tmp_path, outcomes=True)
    case.risk.ended(note, 401)
    assert case.cells[Meter.series("ztag_risk_outcomes", "failed")] == 0


def test_nothing_is_noted_where_nobody_tells_how_requests_end(tmp_path: Path) -> None:
    verdict = Case(tmp_path).ask(HOME)
    assert isinstance(verdict, Allow)
    assert verdict.notes == {}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"high": "step_up"}, "set `step_up.acr_values`"),
        ({"elevated": "limit"}, "set `limits`"),
        ({"elevated": "explode"}, "Input should be"),
    ],
)
def test_incomplete_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RiskSettings.model_validate({"kind": "risk", **settings})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "make one with `ztag risk calibrate`"),
        ('{"version": 1, "weights": {}, "thresholds": {}}', "must have exactly these signals: address, agent"),
        ("not json", "cannot be used"),
    ],
)
def test_a_model_that_is_none_is_told(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "bad.json").write_text(content)
    with pytest.raises(SettingsError, match=message):
        Case(tmp_path, model="bad.json")
