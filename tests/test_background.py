import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, current_thread

import pytest

from tests.reporting.parts import asked
from ztag_extauthz.background import Background, weight


class Work:
    def __init__(self, max_waiting: int = 100, batch: int = 3) -> None:
        self.done: list[int] = []
        self.lost = 0
        self.counted = Event()
        self.broken: Exception | None = None
        self.background = Background[int]("numbers", self._take, self._count, max_waiting=max_waiting, batch=batch)

    def _take(self, items: Sequence[int]) -> None:
        assert len(items) <= 3
        if self.broken:
            raise self.broken
        self.done += items

    def _count(self, items: int) -> None:
        self.lost += items
        self.counted.set()


def test_does_everything_in_order_and_the_last_on_close() -> None:
    async def main() -> None:
        work = Work()
        for number in range(10):
            work.background.put(number, 1)
        work.background.start()
        assert await work.background.close()
        assert (work.done, work.lost) == (list(range(10)), 0)

    asyncio.run(main())


def test_a_full_queue_drops_and_counts() -> None:
    work = Work(max_waiting=4)
    for number in range(10):
        work.background.put(number, 1)
    assert asyncio.run(work.background.close())
    assert (work.done, work.lost) == ([0, 1, 2, 3], 6)


def test_never_holds_more_bytes_than_its_bound_whatever_is_under_way() -> None:
    taken, go = Event(), Event()
    done: list[str] = []
    lost: list[int] = []

    def work(items: Sequence[str]) -> None:
        taken.set()
        go.wait(20)
        done.extend(items)

    async def main() -> None:
        background = Background[str]("texts", work, lost.append, max_waiting=100, max_bytes=10, batch=1)
        background.start()
        background.put("a", 6)
        assert await asyncio.to_thread(taken.wait, 20)
        for text, size in (("b", 5), ("c", 4), ("d", 1)):
            background.put(text, size)
        go.set()
        assert await background.close()

    asyncio.run(main())
    assert (done, lost) == (["a", "c"], [1, 1])


def test_what_was_done_makes_room() -> None:
    background = Background[int]("numbers", lambda _: None, lambda _: None, max_waiting=100, max_bytes=10)
    for _ in range(3):
        background.put(1, 10)
        background._drain()
    assert background._put_bytes == background._done_bytes == 30


def test_a_request_weighs_what_a_client_sends() -> None:
    assert weight(asked(body=b"x" * 1_000_000)) > 2_000_000
    assert weight(asked(headers={"x-note": "x" * 60_000})) > 120_000


def test_a_full_disk_under_stderr_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    work = Work()
    work.broken = OSError(28, "No space left on device")
    full = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115 - to close it raises
    monkeypatch.setattr(sys, "stderr", full)

    async def main() -> None:
        work.background.start()
        work.background.put(1, 1)
        await asyncio.to_thread(work.counted.wait, 30)
        work.broken = None
        work.background.put(2, 1)
        assert await work.background.close()

    asyncio.run(main())
    monkeypatch.undo()
    with suppress(OSError):
        full.close()
    assert (work.done, work.lost) == ([2], 1)


def test_a_failure_costs_its_batch_and_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    work = Work()
    work.broken = ValueError("s3cret")
    for number in range(7):
        work.background.put(number, 1)
    asyncio.run(work.background.close())
    assert (work.done, work.lost) == ([], 7)
    assert capsys.readouterr().err == "ztag: numbers are lost: ValueError\n"


def test_what_comes_too_late_for_the_thread_is_done_in_another_one() -> None:
    threads = []
    background = Background[int]("numbers", lambda _: threads.append(current_thread()), lambda _: None, max_waiting=9)

    async def main() -> None:
        background.start()
        assert await background.close()
        background.put(1, 1)
        assert await background.close()
        assert threads
        assert current_thread() not in threads

    asyncio.run(main())
