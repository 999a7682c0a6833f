"""Snapshots: what survives a restart, and what is told where none can be written."""

import asyncio
import fcntl
from pathlib import Path

import pytest

from tests.authorization.risk.test_authorizer import AWAY, Case, facts
from ztag_extauthz.errors import SettingsError


def test_a_snapshot_survives_a_restart(tmp_path: Path) -> None:
    case = Case(tmp_path, snapshot="risk.snapshot")
    case.settle_in()
    asyncio.run(case.risk.close())
    again = Case(tmp_path, snapshot="risk.snapshot")
    again.clock.now = case.clock.now
    assert facts(again.ask(AWAY))["band"] == "elevated", "alice is known, and usually elsewhere"
    assert (tmp_path / "risk.snapshot").stat().st_mode & 0o777 == 0o600


def test_a_damaged_snapshot_is_told(tmp_path: Path) -> None:
    case = Case(tmp_path, snapshot="risk.snapshot")
    asyncio.run(case.risk.close())
    content = bytearray((tmp_path / "risk.snapshot").read_bytes())
    content[-1] ^= 1
    (tmp_path / "risk.snapshot").write_bytes(content)
    with pytest.raises(SettingsError, match="is damaged or of another version: remove it"):
        Case(tmp_path, snapshot="risk.snapshot")


def test_a_snapshot_without_a_folder_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="gone is no folder that can be written to"):
        Case(tmp_path, snapshot="gone/risk.snapshot")


def test_a_snapshot_that_cannot_be_written_is_told_and_costs_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    case = Case(tmp_path, snapshot="risk.snapshot", snapshot_interval=0.01)
    (tmp_path / "risk.snapshot").mkdir()
    caplog.clear()  # of what the kernels said, where they had to be compiled

    async def serve() -> None:
        await case.risk.start()
        while not caplog.messages:  # noqa: ASYNC110 - a log tells nobody
            await asyncio.sleep(0.01)
        caplog.clear()
        await case.risk.close()

    asyncio.run(serve())
    assert caplog.messages[-1] == f"risk: the snapshot {tmp_path}/risk.snapshot cannot be written: Is a directory"


def test_a_folder_that_is_gone_costs_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a").mkdir()
    case = Case(tmp_path, snapshot="a/risk.snapshot")
    (tmp_path / "a").rmdir()
    caplog.clear()

    async def serve() -> None:
        await case.risk.start()
        await asyncio.sleep(0)
        await case.risk.close()

    asyncio.run(serve())
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    assert "risk.snapshot cannot be written: No such file or directory" in caplog.messages[0]


def test_another_workers_lock_is_waited_for_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    case = Case(tmp_path, snapshot="risk.snapshot", snapshot_interval=0.01)
    caplog.clear()

    async def serve() -> None:
        await case.risk.start()
        with (tmp_path / "risk.snapshot.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            await asyncio.sleep(0.05)
            assert not (tmp_path / "risk.snapshot").exists()
        while not (tmp_path / "risk.snapshot").exists():  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.01)
        await case.risk.close()

    asyncio.run(serve())
    assert not caplog.messages


def test_snapshots_are_written_while_it_serves(tmp_path: Path) -> None:
    case = Case(tmp_path, snapshot="risk.snapshot", snapshot_interval=0.05)

    async def serve() -> None:
        await case.risk.start()
        while not (tmp_path / "risk.snapshot").exists():  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.02)
        await case.risk.close()

    asyncio.run(serve())
