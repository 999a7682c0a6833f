"""Uploads that wait in a folder: a real one, and a real collector that is away and comes back."""

import asyncio
import gzip
import json
import os
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.reporting.parts import asked, decided
from tests.reporting.test_collector import Endpoint, listening
from tests.reporting.test_decision_log import build
from ztag_extauthz.errors import SettingsError
from ztag_extauthz.meter import CELLS, SERIES, Meter
from ztag_extauthz.reporting import collector
from ztag_extauthz.reporting.buffer import Buffer
from ztag_extauthz.reporting.collector import pack

DROPPED = SERIES["ztag_decision_log_dropped", ()]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "FIRST_REST", 0.01)
    monkeypatch.setattr(collector, "LONGEST_REST", 0.02)


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - threads make it true
            await asyncio.sleep(0.01)


def uploaded(endpoint: Endpoint) -> list[str]:
    return [event["decision_id"] for _, _, events in endpoint.uploads for event in events]


def reached(endpoint: Endpoint, uploads: int) -> bool:
    return len(endpoint.uploads) >= uploads


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json.gz"))


def holds(folder: Path, number: int) -> bool:
    return len(files(folder)) == number


def buffer(folder: Path, max_bytes: int = 1 << 20) -> tuple[Buffer, list[int]]:
    dropped: list[int] = []
    made = Buffer(folder / "buffer", max_bytes, dropped.append)
    made.open()
    return made, dropped


def test_what_a_collector_that_is_away_is_not_told_it_is_told_when_it_is_back(tmp_path: Path) -> None:
    async def main() -> None:
        with listening(*[503] * 10_000) as endpoint:
            log = build(tmp_path, endpoint.url, buffer="buffer")
            await log.start()
            for number in range(6):
                log.report(asked(), decided(id=str(number)))
                await until(partial(holds, tmp_path / "buffer", number + 1))
            endpoint.statuses.clear()
            await until(partial(holds, tmp_path / "buffer", 0))
            await log.close()
        assert list(dict.fromkeys(uploaded(endpoint))) == [*"012345"]

    asyncio.run(main())


def test_what_waits_outlives_a_restart_and_no_event_is_lost(tmp_path: Path) -> None:
    async def main() -> None:
        cells = [0.0] * CELLS
        before = build(tmp_path, "http://127.0.0.1:1", Meter(cells), buffer="buffer")  # nobody listens
        await before.start()
        for number in range(3):
            before.report(asked(), decided(id=str(number)))
        await before.close()
        assert files(tmp_path / "buffer")
        with listening() as endpoint:
            after = build(tmp_path, endpoint.url, Meter(cells), buffer="buffer")
            await after.start()
            await until(lambda: not files(tmp_path / "buffer"))
            after.report(asked(), decided(id="3"))
            await after.close()
        assert uploaded(endpoint) == [*"0123"]
        assert cells[DROPPED] == 0

    asyncio.run(main())


def test_one_of_several_workers_uploads_and_another_takes_its_place(tmp_path: Path) -> None:
    async def main() -> None:
        with listening() as endpoint:
            logs = [build(tmp_path, endpoint.url, buffer="buffer") for _ in range(3)]
            for log in logs:
                await log.start()
            for number, log in enumerate(logs):
                log.report(asked(), decided(id=str(number)))
            await until(lambda: len(uploaded(endpoint)) == 3)
            for number, log in enumerate(logs):
                logs[-1].report(asked(), decided(id=str(3 + number)))
                await log.close()
            await until(lambda: len(uploaded(endpoint)) == 6)
        assert sorted(uploaded(endpoint)) == [*"012345"]

    asyncio.run(main())


def test_what_is_refused_for_good_is_dropped_and_the_next_is_sent(tmp_path: Path) -> None:
    async def main() -> None:
        cells = [0.0] * CELLS
        with listening(413) as endpoint:
            log = build(tmp_path, endpoint.url, Meter(cells), buffer="buffer")
            await log.start()
            for number in range(2):
                log.report(asked(), decided(id=str(number)))
                await until(partial(reached, endpoint, number + 1))
            await log.close()
        assert uploaded(endpoint) == ["0", "1"]
        assert cells[DROPPED] == 1

    asyncio.run(main())


def test_the_oldest_make_room_and_are_counted(tmp_path: Path) -> None:
    body = os.urandom(400)
    waiting, dropped = buffer(tmp_path, 1000)
    for events in (1, 2, 3, 4):
        waiting.put(body, events)
    assert [upload.events for upload in waiting.waiting()] == [3, 4]
    waiting.put(os.urandom(1001), 5)
    assert [upload.events for upload in waiting.waiting()] == [3, 4]
    assert dropped == [1, 2, 5]


def test_many_writers_keep_the_bound_and_lose_nothing_uncounted(tmp_path: Path) -> None:
    made = [buffer(tmp_path, 3000) for _ in range(4)]

    def write(one: Buffer) -> None:
        for _ in range(30):
            one.put(b"x" * 400, 1)

    writers = [Thread(target=write, args=(one,)) for one, _ in made]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    left = made[0][0].waiting()
    assert len(left) + sum(sum(dropped) for _, dropped in made) == 120
    assert len({upload.number for upload in left}) == len(left) == 7


def test_nobody_else_may_read_and_no_half_file_is_ever_seen(tmp_path: Path) -> None:
    waiting, _ = buffer(tmp_path)
    (tmp_path / "buffer" / "unfinished").write_bytes(b"what a crash left, and it is long" * 9)
    (tmp_path / "buffer" / "000000000000-1-notes.json.gz").write_text("not ours")
    waiting.put(pack([b"1", b"2"]), 2)
    (upload,) = waiting.waiting()
    assert json.loads(gzip.decompress(upload.path.read_bytes())) == [1, 2]
    assert stat.S_IMODE(upload.path.parent.stat().st_mode) == 0o700
    assert not (tmp_path / "buffer" / "unfinished").exists()


def test_files_are_private(tmp_path: Path) -> None:
    waiting, _ = buffer(tmp_path)
    waiting.put(b"x", 1)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "buffer").iterdir()} == {0o600}


def test_one_has_the_turn(tmp_path: Path) -> None:
    first, second = buffer(tmp_path)[0], buffer(tmp_path)[0]
    turn = first.turn()
    assert turn is not None
    assert second.turn() is None
    os.close(turn)
    again = second.turn()
    assert again is not None
    os.close(again)


def test_a_folder_that_cannot_be_made_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    async def main() -> None:
        with pytest.raises(SettingsError, match=r"buffer: .*cannot be written"):
            await build(tmp_path, buffer="file/buffer").start()

    asyncio.run(main())
