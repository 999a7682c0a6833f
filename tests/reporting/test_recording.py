import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.reporting.parts import DECISION, TOKEN, asked, decided
from ztag_extauthz.component import Resources
from ztag_extauthz.errors import SettingsError
from ztag_extauthz.meter import CELLS, SERIES, Meter
from ztag_extauthz.reporting.recording import Recording, RecordingSettings

REQUEST = asked(attributes=lambda: {"request": {"http": {"method": "GET", "headers": {"authorization": TOKEN}}}})


def build(folder: Path, meter: Meter | None = None, **settings: Any) -> Recording:
    parsed = RecordingSettings.model_validate({"kind": "recording", "to": "requests.jsonl", "sample": 1.0, **settings})
    return parsed.build(Resources(folder, lambda: 0.0, meter or Meter()))


def test_requests_with_an_identity_are_written(tmp_path: Path) -> None:
    async def main() -> None:
        recording = build(tmp_path)
        await recording.start()
        recording.report(REQUEST, DECISION)
        recording.report(REQUEST, decided(identity=None))
        await recording.close()

    asyncio.run(main())
    (line,) = (tmp_path / "requests.jsonl").read_text().splitlines()
    assert json.loads(line)["identity"]["subject"] == "alice"
    assert TOKEN not in line


def test_never_6_what_holds_credentials_is_not_written_whatever_its_name(tmp_path: Path) -> None:
    async def main() -> None:
        recording = build(tmp_path)
        recording.attend((), frozenset({"x-partner"}))
        recording.report(
            asked(attributes=lambda: {"request": {"http": {"headers": {"x-partner": "s3cret"}}}}), DECISION
        )
        await recording.start()
        await recording.close()

    asyncio.run(main())
    text = (tmp_path / "requests.jsonl").read_text()
    assert "x-partner" in text
    assert "s3cret" not in text


def test_a_sample_is_taken(tmp_path: Path) -> None:
    recording = build(tmp_path, sample=0.1, max_waiting=100_000)
    for _ in range(10_000):
        recording.report(REQUEST, DECISION)
    asyncio.run(recording.close())
    lines = (tmp_path / "requests.jsonl").read_text().splitlines()
    assert 700 < len(lines) < 1300  # 10 standard deviations


def test_what_nobody_has_time_for_is_counted(tmp_path: Path) -> None:
    cells = [0.0] * CELLS
    recording = build(tmp_path, Meter(cells), max_waiting=2)
    for _ in range(5):
        recording.report(REQUEST, DECISION)
    assert cells[SERIES["ztag_record_dropped", ()]] == 3
    asyncio.run(recording.close())


def test_files_are_rotated(tmp_path: Path) -> None:
    recording = build(tmp_path, max_bytes=64 * 1024, backups=2, max_waiting=10_000)
    for _ in range(1_000):
        recording.report(REQUEST, DECISION)
    asyncio.run(recording.close())
    assert {path.name for path in tmp_path.iterdir()} == {"requests.jsonl", "requests.jsonl.1", "requests.jsonl.2"}
    assert all(path.stat().st_size <= 64 * 1024 for path in tmp_path.iterdir())


def test_mistakes_are_told_at_load(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^to: missing/a: cannot be written"):
        build(tmp_path, to="missing/a")
    with pytest.raises(SettingsError, match=r"^key_file: "):
        build(tmp_path, key_file="none.key")
