import asyncio
import logging
from threading import Event

import pytest
from msgspec.structs import replace

from tests.reporting.parts import DECISION, NOW, REQUEST, decided
from ztag_extauthz.model import Allow, Decision, Deny, Failed, Reason, Stage
from ztag_extauthz.reporting import log
from ztag_extauthz.reporting.log import MAX_NAMES, PAUSE, Log


def error(detail: str = "the decision has no `allowed`", after: float = 0.0, kind: str = "rego") -> Decision:
    return decided(verdict=Failed(Reason.EVALUATION, detail), time=NOW + after, decided_by=kind)


def sets(*names: str) -> Decision:
    return decided(verdict=Allow(request_headers=tuple((name, "value") for name in names)))


def told(caplog: pytest.LogCaptureFixture, *decisions: Decision, owned: tuple[str, ...] = ()) -> list[str]:
    """Return what is logged of decisions."""
    caplog.set_level(logging.INFO)
    reporter = Log(owned)
    for decision in decisions:
        reporter.report(REQUEST, decision)
    asyncio.run(reporter.close())
    return [record.getMessage() for record in caplog.records]


def test_an_error_is_told_with_its_cause_and_its_decision(caplog: pytest.LogCaptureFixture) -> None:
    lines = told(caplog, error("policy envoy/authz/result: the decision has no `allowed`"))
    cause = "policy envoy/authz/result: the decision has no `allowed`"
    assert lines == [f"evaluation in rego: {cause} (decision {DECISION.id})"]


def test_an_error_without_a_kind_names_its_stage(caplog: pytest.LogCaptureFixture) -> None:
    (line,) = told(caplog, replace(error(kind=""), stage=Stage.ADMISSION))
    assert line.startswith("evaluation in admission: ")


def test_answers_are_not_told(caplog: pytest.LogCaptureFixture) -> None:
    assert told(caplog, DECISION, decided(verdict=Deny(Reason.POLICY, "the policy says no"))) == []


def test_of_many_errors_one_is_told_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    burst = [error(after=n * PAUSE / 100) for n in range(100)]
    lines = told(caplog, *burst, error(kind="jwt"), error(after=PAUSE))
    assert len(lines) == 3
    assert lines[1].startswith("evaluation in jwt: ")
    assert lines[2].endswith("; 99 more of rego before it are left out")


def test_a_clock_that_goes_back_silences_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert len(told(caplog, error(), error(after=-3600.0))) == 2


def test_a_detail_cannot_pass_for_another_line(caplog: pytest.LogCaptureFixture) -> None:
    (line,) = told(caplog, error("x\n2027-01-15 INFO all is well\x1b[2J" + "y" * 10_000))
    assert line.isprintable()
    assert len(line) < 700


def test_a_header_that_is_set_and_not_owned_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    (line,) = told(caplog, sets("X-Role", "x-user", "x-ztag-subject", ":path"), sets("x-role"), owned=("X-User",))
    assert line == (
        "the policy sets x-role, which response.owned_headers does not list: "
        "on paths where it does not set it, a client's own copy goes on to the upstream"
    )


def test_names_that_a_policy_makes_up_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    many = [sets(f"x-{number}") for number in range(10 * MAX_NAMES)]
    assert len(told(caplog, *many)) == MAX_NAMES


def test_the_first_errors_are_told_and_the_others_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    go, entered, write = Event(), Event(), log.LOG.log

    def wait(level: int, message: str, line: str) -> None:
        entered.set()
        assert go.wait(10)
        write(level, message, line)

    monkeypatch.setattr(log.LOG, "log", wait)
    reporter = Log(())
    reporter.report(REQUEST, error(kind="0"))
    assert entered.wait(10)
    for number in range(1, log.MAX_WAITING + 3):
        reporter.report(REQUEST, error(kind=str(number)))
    go.set()
    asyncio.run(reporter.close())
    assert [line.split()[2] for line in caplog.messages] == [f"{number}:" for number in range(log.MAX_WAITING + 1)]
    reporter.report(REQUEST, error(kind=str(log.MAX_WAITING + 2)))
    asyncio.run(reporter.close())
    assert caplog.messages[-1].endswith(f"; 1 more of {log.MAX_WAITING + 2} before it are left out")


def test_nobody_waits_for_whoever_reads_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    go, entered = Event(), Event()

    def hang(*_: object) -> None:
        entered.set()
        assert go.wait(10)

    monkeypatch.setattr(log.LOG, "log", hang)
    reporter = Log(())
    reporter.report(REQUEST, error())
    assert entered.wait(10)
    for number in range(1000):
        reporter.report(REQUEST, error(after=number * PAUSE))
    assert len(reporter._lines) == log.MAX_WAITING
    go.set()
    asyncio.run(reporter.close())
