"""Values in a real Redis; what happens while it is down is asked of a real one that was killed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from typing import TYPE_CHECKING

import pytest

from tests.stores.conftest import again, ask_redis
from ztag_extauthz.errors import UnavailableError
from ztag_extauthz.stores.redis import RedisServer
from ztag_extauthz.stores.values import RedisValues

if TYPE_CHECKING:
    import subprocess

Server = tuple[int, "subprocess.Popen[bytes]"]
ITEMS = [(b"key %d" % number, b"value %d" % number, 60_000) for number in range(50)]


@asynccontextmanager
async def values(port: int, **changes: object) -> AsyncIterator[RedisValues]:
    settings = {"url": f"redis://127.0.0.1:{port}", "timeout": 5.0, "retry_after": 0.02}
    opened = RedisValues(RedisServer.model_validate(settings | changes), "cache")
    opened.start()
    try:
        yield opened
    finally:
        await opened.close()


async def until_up(opened: RedisValues) -> None:
    while not opened.up:  # noqa: ASYNC110 - what is waited for happens in Redis
        await asyncio.sleep(0.01)


async def kept(port: int, *, cluster: bool) -> None:
    async with values(port, cluster=cluster) as opened, asyncio.timeout(20):
        await until_up(opened)
        assert await opened.get([b"key 0"]) == [None]
        assert await opened.put(ITEMS[:1]) == 1
        assert await opened.put(ITEMS) == len(ITEMS)
        assert await opened.get([b"key 0"]) == [b"value 0"]
        keys = [key for key, _, _ in ITEMS]
        assert await opened.get([*keys, b"none"]) == [value for _, value, _ in ITEMS] + [None]


def test_what_is_asked_together_is_answered_in_order(redis: Server) -> None:
    asyncio.run(kept(redis[0], cluster=False))


def test_a_cluster_answers_for_all_its_nodes(redis_cluster: int) -> None:
    asyncio.run(kept(redis_cluster, cluster=True))


def test_values_end(redis: Server) -> None:
    async def main() -> None:
        async with values(redis[0]) as opened:
            await until_up(opened)
            await opened.put([(b"key", b"value", 1)])
            while await opened.get([b"key"]) != [None]:  # noqa: ASYNC110 - Redis's clock is waited for
                await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(main(), 10))


def test_what_redis_refuses_is_no_value_and_no_failure(redis: Server) -> None:
    async def main() -> None:
        async with values(redis[0]) as opened:
            await until_up(opened)
            await ask_redis(redis[0], "LPUSH", "list", "a")
            await opened.put(ITEMS[:1])
            assert await opened.get([b"list"]) == [b""]
            assert await opened.get([b"list", b"key 0"]) == [b"", b"value 0"]
            await ask_redis(redis[0], "CONFIG", "SET", "maxmemory", "1")
            assert await opened.put(ITEMS[:1]) == 0
            assert await opened.put(ITEMS) == 0
            assert opened.up

    asyncio.run(asyncio.wait_for(main(), 10))


def test_a_redis_that_is_down_is_not_asked_and_one_that_is_back_is(
    redis: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with values(redis[0]) as opened:
            await until_up(opened)
            redis[1].kill()
            redis[1].wait()
            with pytest.raises(UnavailableError):
                await opened.get([b"key 0"])
            assert not opened.up
            with monkeypatch.context() as patched:
                patched.setattr(opened, "_ask", None)
                for _ in range(100):
                    with pytest.raises(UnavailableError):
                        await opened.get([b"key 0"])
            with again(tmp_path / "again", redis[0]):
                await until_up(opened)
                assert await opened.get([b"key 0"]) == [None]

    asyncio.run(asyncio.wait_for(main(), 20))


def test_a_redis_that_does_not_answer_in_time_is_down(redis: Server) -> None:
    async def main() -> None:
        async with values(redis[0], timeout=0.05) as opened:
            await until_up(opened)
            redis[1].send_signal(SIGSTOP)
            with pytest.raises(UnavailableError):
                await opened.get([b"key 0"])
            assert not opened.up
            redis[1].send_signal(SIGCONT)
            await until_up(opened)

    asyncio.run(asyncio.wait_for(main(), 20))


def test_a_start_without_redis_waits_for_nothing() -> None:
    async def main() -> None:
        async with values(1) as opened:
            with pytest.raises(UnavailableError):
                await opened.put(ITEMS)

    asyncio.run(main())


def test_whatever_is_wrong_with_an_address_is_told_once_and_tried_again(
    redis: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "ztag.redis")
    place = tmp_path / "url"
    place.write_text("redis://redis")

    async def main() -> None:
        async with values(1, url=None, folder=str(tmp_path)) as opened:
            place.write_text("http://redis")
            while not caplog.records:  # noqa: ASYNC110 - the log is waited for
                await asyncio.sleep(0.01)
            place.write_text(f"redis://127.0.0.1:{redis[0]}")
            await until_up(opened)

    asyncio.run(asyncio.wait_for(main(), 20))
    told = [record.getMessage() for record in caplog.records if record.name == "ztag.redis"]
    assert told == [
        f"cache: redis at {tmp_path}/url: ValueError: is no address of a Redis",
        f"cache: redis at 127.0.0.1:{redis[0]} is up",
    ]
