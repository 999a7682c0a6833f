"""Events in the form of OPA's decision logs; `python -m loadtest.decision_logs` compares them with a real one's."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct
from pydantic import ValidationError

from tests.reporting.parts import TOKEN, asked, decided
from tests.reporting.test_collector import listening
from ztag_extauthz.component import Resources
from ztag_extauthz.errors import PolicyError, SettingsError
from ztag_extauthz.meter import CELLS, SERIES, Meter
from ztag_extauthz.model import Allow, Context, Deny, Failed, Reason, Stage
from ztag_extauthz.rego.documents import from_python
from ztag_extauthz.reporting.decision_log import DecisionLog, DecisionLogSettings, result

HEADERS = {"authorization": f"Bearer {TOKEN}", "accept": "text/html", "x-partner": "s3cret"}


class Version(Struct):
    revision: str


class Policy(Struct):
    version: Version


class Asked(Struct):
    name: str
    policy: Policy
    document: Any


class Policies(Struct):
    """Stands for an authorizer with some policies."""

    asked: tuple[tuple[str, str], ...]

    def questions(self, context: Context) -> Iterator[Asked]:
        http = {"path": context.request.path, "headers": dict(HEADERS)}
        document = {"attributes": {"request": {"http": http}}, "identity": {"subject": context.identity.subject}}
        for name, revision in self.asked:
            yield Asked(name, Policy(Version(revision)), from_python(document))


def build(folder: Path, url: str = "http://127.0.0.1:1", meter: Meter | None = None, **settings: Any) -> DecisionLog:
    parsed = DecisionLogSettings.model_validate({"kind": "decision_log", "url": url, "seconds": 0.01, **settings})
    log = parsed.build(Resources(folder, lambda: 0.0, meter or Meter()))
    log.attend([Policies((("coarse/allow", "1"),)), Policies((("envoy/authz/result", "2"),))], frozenset({"x-partner"}))
    return log


def test_an_event_has_opas_form(tmp_path: Path) -> None:
    log = build(tmp_path, labels={"app": "shop"}, mask=("/input/identity/subject",))
    event = log.event(asked(), decided(verdict=Allow(policy_revision="2")))
    assert event is not None
    labels = event.pop("labels")
    assert labels.keys() == {"app", "id", "version"}
    http = "/input/attributes/request/http"
    assert event == {
        "decision_id": decided().id,
        "path": "envoy/authz/result",
        "input": {
            "attributes": {"request": {"http": {"path": "/orders/1", "headers": {"accept": "text/html"}}}},
            "identity": {},
        },
        "result": {"allowed": True},
        "timestamp": "2027-01-15T08:00:00.250000Z",
        "metrics": {"timer_rego_query_eval_ns": 30_000, "timer_server_handler_ns": 34_000},
        "revision": "2",
        "bundles": {"ztag": {"revision": "2"}},
        "erased": [f"{http}/headers/authorization", f"{http}/headers/x-partner", "/input/identity/subject"],
        "masked": [f"{http}/path"],
    }


def test_the_policy_that_had_the_last_word_is_told_by_its_revision(tmp_path: Path) -> None:
    event = build(tmp_path).event(asked(), decided(verdict=Deny(Reason.POLICY, policy_revision="1")))
    assert event is not None
    assert (event["path"], event["result"]) == ("coarse/allow", {"allowed": False})


def test_never_6_no_credential_is_in_an_event_whatever_its_header_is_called(tmp_path: Path) -> None:
    said = Allow(request_headers=(("x-partner", "s3cret"), ("x-upstream-key", "s3cret"), ("x-user", "alice")))
    event = build(tmp_path).event(asked(), decided(verdict=said))
    refused = build(tmp_path).event(asked(), decided(verdict=Deny(Reason.POLICY, body="s3cret")))
    assert event is not None
    assert refused is not None
    assert "s3cret" not in repr((event, refused))
    assert event["result"]["headers"] == {"x-user": "alice"}
    assert event["input"]["attributes"]["request"]["http"]["headers"] == {"accept": "text/html"}


def test_a_failure_has_an_error_and_no_result(tmp_path: Path) -> None:
    event = build(tmp_path).event(asked(), decided(verdict=Failed(Reason.EVALUATION, "undefined", "2")))
    assert event is not None
    assert "result" not in event
    assert event["error"] == {"code": "evaluation", "message": "undefined"}


def test_rules_of_a_policy_mask_and_drop(tmp_path: Path) -> None:
    (tmp_path / "rules.rego").write_text(
        'package system.log\n\nmask contains "/input/attributes"\n\ndrop if input.result.allowed == false\n'
    )
    log = build(tmp_path, rules="rules.rego")
    event = log.event(asked(), decided(verdict=Allow(policy_revision="2")))
    assert event is not None
    assert event["input"] == {"identity": {"subject": "alice"}}
    assert log.event(asked(), decided(verdict=Deny(Reason.POLICY))) is None


def test_decisions_of_policies_alone_are_uploaded_in_batches(tmp_path: Path) -> None:
    async def main() -> None:
        with listening() as endpoint:
            log = build(tmp_path, endpoint.url, upload_bytes=4096)
            await log.start()
            for number in range(20):
                log.report(asked(), decided(id=str(number)))
            log.report(asked(), decided(id="limited", verdict=Deny(Reason.RATE_LIMITED)))
            log.report(asked(), decided(id="unknown", stage=Stage.AUTHENTICATION, identity=None))
            await log.close()
            batches = [[event["decision_id"] for event in events] for _, _, events in endpoint.uploads]
        assert len(batches) > 1
        assert [id_ for batch in batches for id_ in batch] == [str(number) for number in range(20)]

    asyncio.run(main())


def test_what_the_collector_took_is_not_counted_as_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        cells = [0.0] * CELLS
        with listening(200, 403) as endpoint:
            log = build(tmp_path, endpoint.url, Meter(cells), upload_bytes=4096)
            for _ in range(40):
                log.report(asked(), decided())
            await log.close()
        sizes = [len(events) for _, _, events in endpoint.uploads]
        assert len(sizes) > 2
        assert sum(sizes) == 40
        assert cells[SERIES["ztag_decision_log_dropped", ()]] == sizes[1]

    asyncio.run(main())
    assert capsys.readouterr().err == "ztag: decision logs are lost: the collector answers 403\n"


def test_never_waits_and_counts_what_is_lost(tmp_path: Path) -> None:
    async def main() -> None:
        cells = [0.0] * CELLS
        log = build(tmp_path, meter=Meter(cells), max_waiting=10, seconds=60)  # nobody listens
        for _ in range(15):
            log.report(asked(), decided())
        assert cells[SERIES["ztag_decision_log_dropped", ()]] == 5
        await log.start()
        await log.close()
        assert cells[SERIES["ztag_decision_log_dropped", ()]] == 15

    asyncio.run(main())


def test_never_6_an_event_whose_mask_fails_is_lost_and_not_sent(tmp_path: Path) -> None:
    (tmp_path / "rules.rego").write_text('package system.log\n\nmask contains "x" if input.decision_id == "bad"\n')

    async def main() -> None:
        cells = [0.0] * CELLS
        with listening() as endpoint:
            log = build(tmp_path, endpoint.url, Meter(cells), rules="rules.rego")
            log.report(asked(), decided(id="bad"))
            log.report(asked(), decided(id="good"))
            await log.close()
            assert [event["decision_id"] for _, _, events in endpoint.uploads for event in events] == ["good"]
        assert cells[SERIES["ztag_decision_log_dropped", ()]] == 1

    asyncio.run(main())


def test_results_are_opa_envoy_plugins_objects() -> None:
    assert result(Allow()) == {"allowed": True}
    assert result(Allow(request_headers=(("a", "1"), ("b", "2"), ("a", "3")))) == {
        "allowed": True,
        "headers": {"a": ["1", "3"], "b": "2"},
    }
    refused = Deny(Reason.POLICY, status=401, body="no", metadata={"rule": "x"})
    expected = {"allowed": False, "http_status": 401, "body": "no", "dynamic_metadata": {"rule": "x"}}
    assert result(refused) == expected
    assert result(Allow(shadowed=refused)) == expected


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="plain text"):
        build(tmp_path, "http://collector.example")
    with pytest.raises(ValidationError, match="pointer"):
        build(tmp_path, mask=("input/a",))
    with pytest.raises(SettingsError, match=r"^token_file: .*cannot be read"):
        build(tmp_path, token_file="none")
    (tmp_path / "bad.rego").write_text("package x\n")
    with pytest.raises(PolicyError, match=r"^rules: "):
        build(tmp_path, rules="bad.rego")
