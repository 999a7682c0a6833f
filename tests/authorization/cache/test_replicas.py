"""Answers that replicas share over a real Redis."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from tests.stores.conftest import ask_redis
from tests.stores.test_values import until_up
from ztag_extauthz.authorization.cache.records import Records
from ztag_extauthz.authorization.cache.replicas import PREFIX, TOGETHER, WAITING, Replicas
from ztag_extauthz.authorization.cache.settings import CacheRedisSettings
from ztag_extauthz.component import Resources
from ztag_extauthz.errors import SettingsError
from ztag_extauthz.meter import CELLS, Meter

if TYPE_CHECKING:
    import subprocess

Server = tuple[int, "subprocess.Popen[bytes]"]
SECRET = "s" * 32
ASKED, OTHER = bytes(32), bytes(range(32))
GIVE_UP = 20


def settings(port: int, **changes: object) -> CacheRedisSettings:
    given = {"url": f"redis://127.0.0.1:{port}", "timeout": 2.0, "retry_after": 0.02, "secret": SECRET}
    return CacheRedisSettings.model_validate(given | changes)


class Rig:
    """One replica, and what it counted."""

    def __init__(self, port: int, hears: Callable[[], bool] = lambda: True, **changes: object) -> None:
        self.now = time.time()
        self._cells = [0.0] * CELLS
        resources = Resources(Path(), lambda: self.now, Meter(self._cells))
        self.far = Replicas(settings(port, **changes), hears, resources)

    async def get(self, digest: bytes = ASKED, seconds: float = 60) -> bytes | None:
        return await self.far.get(digest, time.monotonic() + seconds)

    async def keep(self, digest: bytes, value: bytes, lifetime: float = 60) -> None:
        """Put an answer, and wait until it is there."""
        before = self.writes("kept")
        self.far.put(digest, value, lifetime)
        await self.until("kept", before + 1)

    async def until(self, result: str, number: float) -> None:
        while self.writes(result) < number:  # noqa: ASYNC110 - what is waited for happens in Redis
            await asyncio.sleep(0.005)

    def count(self, result: str) -> float:
        return self._cells[Meter.series("ztag_cache_redis", result)]

    def writes(self, result: str) -> float:
        return self._cells[Meter.series("ztag_cache_redis_writes", result)]


@asynccontextmanager
async def replica(port: int, **changes: object) -> AsyncIterator[Rig]:
    rig = Rig(port, **changes)  # type: ignore[arg-type]
    await rig.far.start()
    try:
        async with asyncio.timeout(GIVE_UP):
            await until_up(rig.far.values)
            yield rig
    finally:
        await rig.far.close()


def test_what_one_replica_put_another_gets(redis: Server) -> None:
    async def main() -> None:
        async with replica(redis[0]) as one, replica(redis[0]) as other:
            assert await other.get() is None
            await one.keep(ASKED, b"allow")
            assert await other.get() == b"allow"
            assert (other.count("hit"), other.count("miss")) == (1, 1)
            assert one.far.secret == other.far.secret != SECRET.encode()

    asyncio.run(main())


def test_answers_of_a_cluster(redis_cluster: int) -> None:
    async def main() -> None:
        async with replica(redis_cluster, cluster=True) as one, replica(redis_cluster, cluster=True) as other:
            digests = [bytes([number]) * 32 for number in range(2 * TOGETHER)]
            for digest in digests:
                one.far.put(digest, digest[:2], 60)
            await one.until("kept", len(digests))
            assert await asyncio.gather(*map(other.get, digests)) == [digest[:2] for digest in digests]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("result", "spoil"),
    [
        ("truncated", lambda good, _: good[:-1]),
        ("truncated", lambda _good, _: b""),
        ("forged", lambda good, _: good[:-1] + bytes([good[-1] ^ 1])),
        ("forged", lambda _good, now: Records(b"t" * 32).write(ASKED, b"allow", now + 60)),
        ("swapped", lambda _good, now: Records(SECRET.encode()).write(OTHER, b"allow", now + 60)),
        ("expired", lambda _good, now: Records(SECRET.encode()).write(ASKED, b"allow", now - 1)),
    ],
)
def test_a_value_that_is_forged_truncated_swapped_or_replayed_is_a_miss_and_counted(
    redis: Server, result: str, spoil: Callable[[bytes, float], bytes]
) -> None:
    async def main() -> None:
        async with replica(redis[0]) as rig:
            await rig.keep(ASKED, b"allow")
            good = await ask_redis(redis[0], "GET", PREFIX + ASKED)
            await ask_redis(redis[0], "SET", PREFIX + ASKED, spoil(good, rig.now))
            assert await rig.get() is None
            assert (rig.count(result), rig.count("hit")) == (1, 0)
            await ask_redis(redis[0], "SET", PREFIX + ASKED, good)
            assert await rig.get() == b"allow"

    asyncio.run(main())


def test_values_swapped_between_two_keys_are_two_misses(redis: Server) -> None:
    async def main() -> None:
        async with replica(redis[0]) as rig:
            await rig.keep(ASKED, b"allow")
            await rig.keep(OTHER, b"deny")
            await ask_redis(redis[0], "RENAME", PREFIX + ASKED, "between")
            await ask_redis(redis[0], "RENAME", PREFIX + OTHER, PREFIX + ASKED)
            await ask_redis(redis[0], "RENAME", "between", PREFIX + OTHER)
            assert [await rig.get(ASKED), await rig.get(OTHER)] == [None, None]
            assert rig.count("swapped") == 2

    asyncio.run(main())


def test_many_who_ask_the_same_are_one_question(redis: Server) -> None:
    async def main() -> None:
        async with replica(redis[0]) as rig:
            await rig.keep(ASKED, b"allow")
            before = await calls(redis[0])
            assert set(await asyncio.gather(*(rig.get() for _ in range(100)))) == {b"allow"}
            assert await calls(redis[0]) - before == rig.count("hit") == 1

    asyncio.run(main())


def test_who_leaves_does_not_end_the_question_of_others(redis: Server) -> None:
    async def main() -> None:
        async with replica(redis[0]) as rig:
            await rig.keep(ASKED, b"allow")
            first, second = asyncio.create_task(rig.get()), asyncio.create_task(rig.get())
            await asyncio.sleep(0)
            first.cancel()
            assert await second == b"allow"
            assert first.cancelled()

    asyncio.run(main())


async def calls(port: int) -> int:
    from redis.asyncio import Redis

    async with Redis(port=port) as client:
        return int((await client.info("commandstats"))["cmdstat_get"]["calls"])


def test_while_redis_is_down_nobody_waits_for_it(redis: Server) -> None:
    async def main() -> None:
        async with replica(redis[0]) as rig:
            redis[1].kill()
            redis[1].wait()
            assert await rig.get() is None
            assert not rig.far.values.up
            rig.far.values._client = None  # whoever would use it fails
            for _ in range(100):
                assert await rig.get() is None
                rig.far.put(ASKED, b"allow", 60)
            assert (rig.count("down"), rig.writes("dropped")) == (101, 100)
            assert not rig.far._flights

    asyncio.run(main())


def test_a_request_with_little_time_does_not_ask(redis: Server) -> None:
    async def main() -> None:
        async with replica(redis[0]) as rig:
            assert await rig.get(seconds=3.9) is None
            assert (rig.count("late"), rig.count("miss")) == (1, 0)

    asyncio.run(main())


def test_whoever_hears_no_invalidations_takes_and_gives_nothing(redis: Server) -> None:
    async def main() -> None:
        hearing = [True]
        async with replica(redis[0], hears=lambda: hearing[0]) as rig:
            await rig.keep(ASKED, b"allow")
            hearing[0] = False
            assert await rig.get() is None
            rig.far.put(OTHER, b"allow", 60)
            assert (rig.count("unheard"), rig.writes("dropped")) == (1, 1)

    asyncio.run(main())


def test_more_than_can_be_written_is_dropped_and_counted(redis: Server) -> None:
    async def main() -> None:
        async with replica(redis[0]) as rig:
            for number in range(WAITING + 10):
                rig.far.put(number.to_bytes(32), b"allow", 60)
            rig.far.put(ASKED, bytes(1 << 17), 60)
            await rig.until("kept", WAITING)
            assert rig.writes("dropped") == 11
            await ask_redis(redis[0], "CONFIG", "SET", "maxmemory", "1")
            rig.far.put(ASKED, b"allow", 60)
            await rig.until("refused", 1)

    asyncio.run(main())


@pytest.mark.parametrize(
    "change",
    [{"secret": "short"}, {"secret": None}, {"secret_file": "x"}, {"interval": 2}, {"max_stale": 0.5}, {"lease": 0.5}],
)
def test_wrong_settings(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        settings(1, **change)


def test_the_secret_may_be_in_a_file(tmp_path: Path) -> None:
    given = settings(1, secret=None, secret_file="secret")
    for text in (None, "short"):
        if text is not None:
            (tmp_path / "secret").write_text(text)
        with pytest.raises(SettingsError, match="openssl rand"):
            given.key(tmp_path)
    (tmp_path / "secret").write_text(SECRET + "\n")
    assert given.key(tmp_path) == SECRET.encode() == settings(1).key(tmp_path)
