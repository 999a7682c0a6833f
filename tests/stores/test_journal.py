import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from msgspec import Struct
from pydantic import SecretStr

from tests.stores.conftest import ask_redis
from ztag_extauthz.errors import UnavailableError
from ztag_extauthz.stores.journal import RedisJournal, within
from ztag_extauthz.stores.redis import RedisServer
from ztag_extauthz.stores.seal import Seal

if TYPE_CHECKING:
    import subprocess

Server = tuple[int, "subprocess.Popen[bytes]"]


class Note(Struct, frozen=True):
    key: str
    before: float = 1.0
    until: float = 2.0


A, B, C = Note("a"), Note("b"), Note("c")


def journal(port: int, check_time: Callable[[float], None] = lambda _: None, **changes: object) -> RedisJournal[Note]:
    settings = RedisServer.model_validate(
        {"url": SecretStr(f"redis://127.0.0.1:{port}"), "timeout": 5.0, "retry_after": 0.05} | changes
    )
    return RedisJournal("notes", settings, Seal(b"s" * 32, b"notes", Note), check_time)


def test_everybody_hears_of_everything_once(redis: Server) -> None:
    async def main() -> None:
        writer, reader = journal(redis[0]), journal(redis[0])
        await writer.add((A, B))
        news = await reader.news()
        assert (news.entries, news.lost) == ((A, B), False)
        assert (await reader.news()).entries == ()
        await writer.add((A, C))  # one that is there already is no news
        assert (await reader.news()).entries == (C,)
        await writer.close()
        await reader.close()

    asyncio.run(main())


def test_what_is_dropped_is_no_loss(redis: Server) -> None:
    async def main() -> None:
        one, other = journal(redis[0]), journal(redis[0])
        await one.add((A, B))
        await other.news()
        await one.drop((A, B))
        news = await other.news()
        assert (news.entries, news.lost) == ((), False)
        await one.close()
        await other.close()

    asyncio.run(main())


@pytest.mark.parametrize("new", [(), (C,), (B, C), (C, A, B)])
def test_a_redis_that_lost_the_last_entries_is_found_out_whatever_came_since(
    redis: Server, new: tuple[Note, ...]
) -> None:
    """As where a replica takes over that has not got them: it gives their numbers to others."""

    async def main() -> None:
        one, other = journal(redis[0]), journal(redis[0])
        await one.add((A,))
        await one.news()
        behind = {key: await ask_redis(redis[0], "DUMP", key) for key in one._keys}
        await one.add((B,))
        await other.news()
        for key, value in behind.items():
            await ask_redis(redis[0], "RESTORE", key, 0, value, "REPLACE")
        await one.add(new)
        news = await other.news()
        assert news.lost is (new[:1] != (B,))
        assert set(new) <= {*news.entries, B}
        await one.close()
        await other.close()

    asyncio.run(main())


def test_clocks_that_differ_are_no_news(redis: Server) -> None:
    async def main() -> None:
        late = journal(redis[0], within(1.0, lambda: time.time() - 10))
        right = journal(redis[0], within(5.0, time.time))
        await right.add((A,))
        with pytest.raises(UnavailableError, match="clocks"):
            await late.news()
        assert (await right.news()).entries == (A,)
        assert abs(await right.time() - time.time()) < 5
        await late.close()
        await right.close()

    asyncio.run(main())


def test_a_cluster_keeps_it_on_one_node_and_its_replicas(redis_cluster: int) -> None:
    async def main() -> None:
        one = journal(redis_cluster, cluster=True)
        await one.add((A,))
        await one.secure()
        assert (await one.news()).entries == (A,)
        await one.close()

    asyncio.run(main())


def test_an_account_that_may_not_ask_for_replicas_does_not_wait_for_them(redis: Server) -> None:
    async def main() -> None:
        await ask_redis(redis[0], "ACL", "SETUSER", "ztag", "on", ">secret", "~*", "+@all", "-@dangerous")
        one = journal(redis[0], url=f"redis://ztag:secret@127.0.0.1:{redis[0]}")
        await one.add((A,))
        await one.secure()
        assert (await one.news()).entries == (A,)
        await one.close()

    asyncio.run(main())
