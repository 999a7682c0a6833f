import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from tests.authentication.parts import FOREVER, NOW, Clock, CountingMeter, jwk, key_set, resources
from ztag_extauthz.authentication.jose.key_set import KeySet
from ztag_extauthz.authentication.key_source import UNKNOWN_WAITING, RemoteKeys, Schedule
from ztag_extauthz.errors import DeadlineError, UnavailableError
from ztag_extauthz.fetch import Fetched, FetchError

DOCUMENT = key_set(jwk("ES256"))
ROTATED = key_set(jwk("ES256", "-next"))
SCHEDULE = Schedule(refresh=600.0, cool_down=30.0, max_stale=3600.0)


class Server:
    """What a fetch gets: a document or an error, at once or when it is let go."""

    def __init__(self, answer: bytes | Exception = DOCUMENT, max_age: float | None = None) -> None:
        self.answer = answer
        self.max_age = max_age
        self.fetches = 0
        self.go = Event()
        self.go.set()

    def __call__(self) -> Fetched:
        self.fetches += 1
        self.go.wait(10)
        if isinstance(self.answer, Exception):
            raise self.answer
        return Fetched(self.answer, self.max_age)


class Rig:
    """A source with everything around it."""

    def __init__(self, server: Server, schedule: Schedule = SCHEDULE) -> None:
        self.clock = Clock()
        self.meter = CountingMeter()
        parts = resources(Path(), self.clock, self.meter)
        self.source = RemoteKeys("keys of x", server, lambda data: KeySet(data, ("ES256",)), schedule, parts)


def soon(seconds: float = 0.05) -> float:
    return time.monotonic() + seconds


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for happens in a thread
        await asyncio.sleep(0.005)


def test_the_first_request_waits_for_the_first_set() -> None:
    async def main() -> None:
        rig = Rig(Server())
        assert not rig.source.readiness().ready
        assert (await rig.source.first(FOREVER)).knows("ES256")
        ready = rig.source.readiness()
        assert (ready.ready, ready.updated_at, ready.detail) == (True, NOW, "")
        assert rig.meter.value("ztag_key_fetches", "ok") == 1

    asyncio.run(main())


def test_s25_a_flood_shares_one_fetch() -> None:
    async def main() -> None:
        server = Server()
        server.go.clear()
        rig = Rig(server)
        flood = [asyncio.create_task(rig.source.first(FOREVER)) for _ in range(500)]
        await until(lambda: server.fetches == 1)
        server.go.set()
        sets = await asyncio.gather(*flood)
        assert len(set(map(id, sets))) == 1
        assert server.fetches == 1

    asyncio.run(main())


def test_s25_unknown_keys_fetch_once_in_a_cool_down() -> None:
    async def main() -> None:
        server = Server()
        rig = Rig(server)
        await rig.source.first(FOREVER)
        for _ in range(100):
            await rig.source.renewed(FOREVER)
        assert server.fetches == 1
        rig.clock.now += SCHEDULE.cool_down
        await asyncio.gather(*(rig.source.renewed(FOREVER) for _ in range(100)))
        assert server.fetches == 2

    asyncio.run(main())


def test_s25_a_slow_server_costs_a_request_its_deadline_and_no_more() -> None:
    async def main() -> None:
        server = Server()
        server.go.clear()
        rig = Rig(server)
        with pytest.raises(DeadlineError, match="keys of x"):
            await rig.source.first(soon())
        server.go.set()
        assert (await rig.source.first(FOREVER)).knows("ES256")
        assert server.fetches == 1

    asyncio.run(main())


def test_s25_a_renewal_that_takes_too_long_leaves_time_to_answer() -> None:
    async def main() -> None:
        server = Server()
        rig = Rig(server)
        await rig.source.first(FOREVER)
        server.go.clear()
        rig.clock.now += SCHEDULE.cool_down
        await rig.source.renewed(soon())
        assert not server.go.is_set()
        assert (await rig.source.first(FOREVER)).knows("ES256")
        server.go.set()

    asyncio.run(main())


def test_s25_unknown_keys_hold_few_places_while_the_server_is_slow() -> None:
    async def main() -> None:
        server = Server()
        rig = Rig(server)
        await rig.source.first(FOREVER)
        rig.clock.now += SCHEDULE.cool_down
        server.go.clear()
        flood = [asyncio.create_task(rig.source.renewed(FOREVER)) for _ in range(500)]
        await until(lambda: server.fetches == 2)
        assert sum(not task.done() for task in flood) == UNKNOWN_WAITING
        await rig.source.renewed(FOREVER)
        server.go.set()
        await asyncio.gather(*flood)
        rig.clock.now += SCHEDULE.cool_down
        await asyncio.gather(*(rig.source.renewed(FOREVER) for _ in range(100)))
        assert server.fetches == 3

    asyncio.run(main())


def test_s25_without_keys_an_outage_is_an_error_at_once_until_the_next_try() -> None:
    async def main() -> None:
        server = Server(FetchError("keys.example does not answer"))
        rig = Rig(server)
        for _ in range(50):
            with pytest.raises(UnavailableError, match=r"keys\.example does not answer"):
                await rig.source.first(FOREVER)
        assert server.fetches == 1
        assert rig.meter.value("ztag_key_fetches", "error") == 1
        assert rig.source.readiness().detail == "keys.example does not answer"
        server.answer = DOCUMENT
        rig.clock.now += 1
        assert (await rig.source.first(FOREVER)).knows("ES256")

    asyncio.run(main())


def test_s25_stale_keys_serve_during_an_outage_but_not_for_ever() -> None:
    async def main() -> None:
        server = Server()
        rig = Rig(server)
        keys = await rig.source.first(FOREVER)
        server.answer = FetchError("down")
        rig.clock.now += SCHEDULE.max_stale
        await rig.source.renewed(FOREVER)
        assert rig.source.readiness().ready
        assert await rig.source.first(FOREVER) is keys
        rig.clock.now += 1
        ready = rig.source.readiness()
        assert (ready.ready, ready.updated_at) == (False, NOW)
        assert "older than 3600 s; down" in ready.detail
        with pytest.raises(UnavailableError):
            await rig.source.first(FOREVER)

    asyncio.run(main())


@pytest.mark.parametrize(
    "answer", [b"", b"{}", key_set(jwk("RS256")), key_set({"kty": "oct", "k": "AA"}), OSError("x")]
)
def test_a_set_that_cannot_be_used_leaves_the_last_one(answer: bytes | Exception) -> None:
    async def main() -> None:
        server = Server()
        rig = Rig(server)
        keys = await rig.source.first(FOREVER)
        server.answer = answer
        rig.clock.now += SCHEDULE.cool_down
        await rig.source.renewed(FOREVER)
        assert server.fetches == 2
        assert rig.source.keys is keys
        assert rig.meter.value("ztag_key_fetches", "error") == 1

    asyncio.run(main())


def test_only_another_document_is_another_object() -> None:
    async def main() -> None:
        server = Server()
        rig = Rig(server)
        keys = await rig.source.first(FOREVER)
        rig.clock.now += SCHEDULE.cool_down
        await rig.source.renewed(FOREVER)
        assert rig.source.keys is keys
        assert rig.source.readiness().updated_at == NOW + SCHEDULE.cool_down
        server.answer = ROTATED
        rig.clock.now += SCHEDULE.cool_down
        await rig.source.renewed(FOREVER)
        assert rig.source.keys is not keys
        assert (await rig.source.first(FOREVER)).knows("ES256-next")

    asyncio.run(main())


def test_keeps_fresh_in_the_background_and_stops_when_closed() -> None:
    async def main() -> None:
        server = Server(FetchError("down"))
        rig = Rig(server, Schedule(refresh=0.02, cool_down=0.01, max_stale=3600.0))
        await rig.source.start()
        await until(lambda: server.fetches >= 2)
        server.answer = DOCUMENT
        await until(lambda: rig.source.keys is not None)
        server.answer = ROTATED
        await until(lambda: rig.source.keys is not None and rig.source.keys.knows("ES256-next"))
        await rig.source.close()
        fetches = server.fetches
        await asyncio.sleep(0.1)
        assert server.fetches == fetches

    asyncio.run(main())


def test_closing_does_not_wait_for_a_server_that_hangs() -> None:
    async def main() -> None:
        server = Server()
        server.go.clear()
        rig = Rig(server)
        await rig.source.start()
        await until(lambda: server.fetches == 1)
        await rig.source.close()
        server.go.set()

    asyncio.run(asyncio.wait_for(main(), 5))


@pytest.mark.parametrize(
    ("max_age", "least", "most"), [(None, 540, 600), (3600, 540, 600), (300, 270, 300), (0, 27, 30), (31, 27, 31)]
)
def test_the_server_may_shorten_the_pause_within_bounds(max_age: float | None, least: float, most: float) -> None:
    pauses = {SCHEDULE.pause(max_age) for _ in range(50)}
    assert all(least <= pause <= most for pause in pauses)
    assert len(pauses) > 1
