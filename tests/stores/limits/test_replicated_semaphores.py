"""Concurrency limits over replicas, with a real Redis: exact while it is up, the node's share while it is down."""

import asyncio
import subprocess  # noqa: TC003 - as plain as in any other test

import pytest

from tests.stores.limits.test_concurrency import ALICE, SUBJECT, Case
from ztag_extauthz.model import Deny

Server = tuple[int, "subprocess.Popen[bytes]"]


def test_replicas_share_the_places(redis: Server) -> None:
    """What one took another one gives back: Envoy tells any of them how a request ended."""
    settings = {"redis": {"url": f"redis://127.0.0.1:{redis[0]}", "timeout": 30.0}}

    async def run() -> None:
        one, two, three = (Case({**SUBJECT, "limit": 5}, **settings) for _ in range(3))
        notes = [note for case in (one, two, three) for note in await case.take(ALICE, ALICE)]
        assert [type(note) for note in notes] == [str] * 5 + [Deny]
        three.places.give_back(str(notes[0]))
        await three.returned(1)
        assert [type(note) for note in await two.take(ALICE, ALICE)] == [str, Deny]
        for case in (one, two, three):
            await case.places.close()

    asyncio.run(run())


def test_what_nobody_gives_back_is_free_after_its_longest_time(redis: Server) -> None:
    settings = {"redis": {"url": f"redis://127.0.0.1:{redis[0]}", "timeout": 30.0}}

    async def run() -> None:
        case = Case({**SUBJECT, "longest": 0.05}, **settings)
        await case.take(ALICE, ALICE)
        async with asyncio.timeout(30):
            while isinstance((await case.take(ALICE))[0], Deny):  # noqa: ASYNC110 - Redis tells nobody
                await asyncio.sleep(0.01)
        await case.places.close()

    asyncio.run(run())


def test_a_cluster_takes_all_places_of_a_request_in_one_call(redis_cluster: int) -> None:
    settings = {"redis": {"url": f"redis://127.0.0.1:{redis_cluster}", "cluster": True, "timeout": 30.0}}

    async def run() -> None:
        case = Case(SUBJECT, {**SUBJECT, "name": "address", "by": ["address"], "limit": 1}, **settings)
        notes = await case.take(ALICE, ALICE)
        assert [type(note) for note in notes] == [str, Deny]
        case.places.give_back(str(notes[0]))
        await case.returned(1)
        assert case.count("ztag_limit_fallbacks") == 0
        await case.places.close()

    asyncio.run(run())


@pytest.mark.parametrize(("replicas", "share"), [(1, 4), (3, 1), (9, 1)])
def test_without_redis_a_node_has_its_share(redis: Server, replicas: int, share: int) -> None:
    settings = {"redis": {"url": f"redis://127.0.0.1:{redis[0]}", "replicas": replicas, "retry_after": 3600.0}}

    async def run() -> None:
        redis[1].kill()
        redis[1].wait()
        case = Case({**SUBJECT, "limit": 4}, **settings)
        notes = await case.take(*[ALICE] * 5)
        assert [type(note) for note in notes] == [str] * share + [Deny] * (5 - share)
        case.places.give_back(str(notes[0]))
        assert [type(note) for note in await case.take(ALICE, ALICE)] == [str, Deny]
        assert case.count("ztag_limit_fallbacks") == 7
        case.places.give_back("@" + "A" * 43 + "=")  # in a Redis that is down: nobody waits for it
        await case.places.close()

    asyncio.run(run())
