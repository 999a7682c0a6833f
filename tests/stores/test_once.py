import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from ztag_extauthz.errors import UnavailableError
from ztag_extauthz.stores.once import MemoryOnce, Once, RedisOnce
from ztag_extauthz.stores.redis import RedisSettings, RedisStore

if TYPE_CHECKING:
    import subprocess


def replica(port: int) -> Once:
    settings = RedisSettings(url=SecretStr(f"redis://127.0.0.1:{port}"), timeout=1.0, retry_after=0.05)
    return RedisOnce(RedisStore(settings, time.monotonic))


def test_memory_forgets_when_it_may() -> None:
    now = [100.0]
    once = MemoryOnce(2, lambda: now[0])

    async def main() -> None:
        assert await once.first(b"a", 10)
        assert not await once.first(b"a", 10)
        assert await once.first(b"b", 20)
        with pytest.raises(UnavailableError):
            await once.first(b"c", 10)
        now[0] += 10
        assert await once.first(b"c", 10)
        assert not await once.first(b"b", 20)
        await once.close()

    asyncio.run(main())


def test_memory_is_not_full_of_what_was_shown_before_the_clock_was_set_back() -> None:
    now = [7300.0]
    once = MemoryOnce(2, lambda: now[0])

    async def main() -> None:
        assert [await once.first(key, 10) for key in (b"a", b"b")] == [True, True]
        now[0] -= 7200
        assert [await once.first(key, 10) for key in (b"a", b"c", b"c")] == [False, True, False]

    asyncio.run(main())


def test_s24_all_replicas_know_what_one_was_shown(redis: tuple[int, "subprocess.Popen[bytes]"]) -> None:
    async def main() -> None:
        replicas = [replica(redis[0]) for _ in range(4)]
        for round_ in range(20):
            shown = await asyncio.gather(*(one.first(b"%d" % round_, 60) for one in replicas for _ in range(5)))
            assert sum(shown) == 1
        for one in replicas:
            await one.close()

    asyncio.run(main())


def test_redis_forgets_when_it_may(redis: tuple[int, "subprocess.Popen[bytes]"]) -> None:
    async def main() -> None:
        once = replica(redis[0])
        assert await once.first(b"a", 0.05)
        await asyncio.sleep(0.2)
        assert await once.first(b"a", 0.05)
        await once.close()

    asyncio.run(main())


def test_s24_while_redis_is_down_nothing_is_the_first(redis: tuple[int, "subprocess.Popen[bytes]"]) -> None:
    async def main() -> None:
        once = replica(redis[0])
        assert await once.first(b"a", 60)
        redis[1].kill()
        redis[1].wait()
        for key in (b"a", b"b"):
            with pytest.raises(UnavailableError):
                await once.first(key, 60)
        await once.close()

    asyncio.run(main())
