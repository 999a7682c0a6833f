import asyncio
import json
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from pydantic import ValidationError

from tests.reporting.parts import DECISION, REQUEST, TOKEN, asked, decided
from ztag_extauthz.component import Resources
from ztag_extauthz.errors import SettingsError
from ztag_extauthz.meter import CELLS, SERIES, Meter
from ztag_extauthz.reporting.audit import BATCH, Audit, AuditSettings
from ztag_extauthz.reporting.sinks import Sink

DROPPED = SERIES["ztag_audit_dropped", ()]


class Memory(Sink):
    """A sink that fails or hangs as a test tells it."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.go = Event()
        self.go.set()
        self.broken: Exception | None = None
        self.writes = 0
        self.closed = False

    def write(self, lines: Sequence[bytes]) -> None:
        self.go.wait(10)
        self.writes += 1
        if self.broken:
            raise self.broken
        self.lines += lines

    def close(self) -> None:
        self.closed = True


class Rig:
    def __init__(self, **settings: Any) -> None:
        self.cells = [0.0] * CELLS
        self.sink = Memory()
        parsed = AuditSettings.model_validate({"kind": "audit", **settings})
        self.audit = Audit(self.sink, parsed, Meter(self.cells))

    @property
    def dropped(self) -> float:
        return self.cells[DROPPED]


def test_writes_a_line_for_each_decision_and_the_last_ones_on_close() -> None:
    async def main() -> None:
        rig = Rig()
        for number in range(1_000):
            rig.audit.report(REQUEST, decided(id=str(number)))
        await rig.audit.start()
        await rig.audit.close()
        assert [json.loads(line)["id"] for line in rig.sink.lines] == [str(number) for number in range(1_000)]
        assert all(line.endswith(b"\n") for line in rig.sink.lines)
        assert (rig.sink.closed, rig.dropped) == (True, 0)
        assert rig.sink.writes == ceil(1_000 / BATCH)

    asyncio.run(main())


def test_lines_appear_while_it_runs() -> None:
    async def main() -> None:
        rig = Rig()
        await rig.audit.start()
        for _ in range(3):
            before = len(rig.sink.lines)
            rig.audit.report(REQUEST, DECISION)
            async with asyncio.timeout(10):
                while len(rig.sink.lines) == before:  # noqa: ASYNC110 - it happens in a thread
                    await asyncio.sleep(0.005)
        await rig.audit.close()

    asyncio.run(main())


def test_never_waits_and_counts_what_it_drops() -> None:
    async def main() -> None:
        rig = Rig(max_waiting=10)
        rig.sink.go.clear()
        await rig.audit.start()
        for _ in range(500):
            rig.audit.report(REQUEST, DECISION)
        rig.sink.go.set()
        await rig.audit.close()
        assert rig.dropped >= 250
        assert len(rig.sink.lines) + rig.dropped == 500

    asyncio.run(main())


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (ValueError("s3cret"), "ValueError"),
        (RecursionError("s3cret"), "RecursionError"),
    ],
)
def test_survives_a_sink_that_fails_and_says_so_once(
    error: Exception, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def main() -> None:
        rig = Rig()
        rig.sink.broken = error
        for _ in range(1_000):
            rig.audit.report(REQUEST, DECISION)
        await rig.audit.start()
        async with asyncio.timeout(10):
            while rig.dropped < 1_000:  # noqa: ASYNC110 - it happens in a thread
                await asyncio.sleep(0.005)
        rig.sink.broken = None
        rig.audit.report(REQUEST, decided(id="after"))
        await rig.audit.close()
        assert [json.loads(line)["id"] for line in rig.sink.lines] == ["after"]

    asyncio.run(main())
    assert capsys.readouterr().err == f"ztag: audit lines are lost: {told}\n"


def test_what_cannot_be_recorded_is_counted_and_not_raised() -> None:
    rig = Rig()
    rig.audit.report(REQUEST, decided(time=1e300))
    assert rig.dropped == 1


def test_what_was_reported_before_the_start_is_written() -> None:
    async def main() -> None:
        rig = Rig()
        rig.audit.report(REQUEST, DECISION)
        await rig.audit.close()
        assert len(rig.sink.lines) == 1

    asyncio.run(main())


def resources(folder: Path) -> Resources:
    return Resources(folder, lambda: 0.0, Meter())


def test_s11_a_real_file_holds_one_valid_line_whatever_is_sent(tmp_path: Path) -> None:
    nasty = ["\r\n{}", '"}\n{"outcome":"allow"}', "\x1b]0;x\x07", "\u2028", "\ud800", "\0", "\u009b31m"]

    async def main() -> None:
        audit = AuditSettings(kind="audit", to="audit.log", include_headers=("x-note",)).build(resources(tmp_path))
        await audit.start()
        for text in nasty:
            audit.report(asked(path=f"/{text}", method=text, headers={"x-note": text}), DECISION)
        await audit.close()

    asyncio.run(main())
    data = (tmp_path / "audit.log").read_bytes()
    assert data.isascii()
    lines = data.decode().splitlines()
    assert [json.loads(line)["request"]["headers"]["x-note"] for line in lines] == nasty


def test_never_6_no_secret_reaches_the_log(tmp_path: Path) -> None:
    async def main() -> None:
        audit = AuditSettings(kind="audit", to="audit.log", include_headers=("x-note",)).build(resources(tmp_path))
        audit.report(asked(path=f"/reset/{TOKEN}?code=s3cret"), DECISION)
        await audit.close()

    asyncio.run(main())
    text = (tmp_path / "audit.log").read_text()
    for secret in (TOKEN, "s3cret", "c00kie", "k3y", "b0dy", "a@example"):
        assert secret not in text


def test_never_6_what_holds_credentials_is_not_written_whatever_its_name() -> None:
    rig = Rig(include_headers=["x-partner"])
    rig.audit.attend((), frozenset({"x-partner"}))
    rig.audit.report(asked(headers={"x-partner": "s3cret"}), DECISION)
    asyncio.run(rig.audit.close())
    assert b"x-partner" in rig.sink.lines[0]
    assert b"s3cret" not in rig.sink.lines[0]


@pytest.mark.parametrize("name", ["Authorization", "cookie", "X-Api-Key", "x-access-token", "proxy-authorization"])
def test_headers_with_secrets_cannot_be_chosen(name: str) -> None:
    with pytest.raises(ValidationError, match="may hold a secret"):
        AuditSettings(kind="audit", include_headers=("user-agent", name))


def test_a_file_that_cannot_be_written_is_a_mistake_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"audit\.log"):
        AuditSettings(kind="audit", to="missing/audit.log").build(resources(tmp_path))


def test_building_makes_no_file_and_starting_does(tmp_path: Path) -> None:
    audit = AuditSettings(kind="audit", to="audit.log").build(resources(tmp_path))
    assert list(tmp_path.iterdir()) == []

    async def main() -> None:
        await audit.start()
        assert (tmp_path / "audit.log").exists()
        await audit.close()

    asyncio.run(main())


def test_a_file_that_is_in_the_way_later_is_a_mistake_at_the_start(tmp_path: Path) -> None:
    audit = AuditSettings(kind="audit", to="audit.log").build(resources(tmp_path))
    (tmp_path / "audit.log").mkdir()
    with pytest.raises(SettingsError, match=r"audit\.log"):
        asyncio.run(audit.start())


def test_standard_output_is_the_default(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        audit = AuditSettings(kind="audit").build(resources(tmp_path))
        audit.report(REQUEST, DECISION)
        await audit.close()

    asyncio.run(main())
    assert json.loads(capfd.readouterr().out)["id"] == DECISION.id
