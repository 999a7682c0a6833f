"""Limits over replicas, with a real Redis: exact while it is up, the node's share while it is down."""

import asyncio
import subprocess  # noqa: TC003 - as plain as in any other test
import time
from pathlib import Path
from typing import Any

import pytest

from tests.requests import make_request
from ztag_extauthz.component import Resources
from ztag_extauthz.meter import Meter
from ztag_extauthz.stores.limits.rate import parse
from ztag_extauthz.stores.limits.rate_limits import Limits, LimitsSettings, limits

Server = tuple[int, "subprocess.Popen[bytes]"]
TEXT = "50/second burst 20"


def make_replica(port: int, *texts: str, **redis: Any) -> Limits:
    settings = {
        "limits": [{"name": f"n{number}", "limit": text, "by": ["address"]} for number, text in enumerate(texts)],
        "redis": {"url": f"redis://127.0.0.1:{port}", "timeout": 5, **redis},
    }
    resources = Resources(Path(), time.time, Meter([0.0] * 1000))
    return limits(LimitsSettings.model_validate(settings), resources, "admission")


def fallbacks(replica: Limits) -> float:
    return replica._meter._cells[Meter.series("ztag_limit_fallbacks")]


async def hammer(replicas: list[Limits], seconds: float) -> tuple[int, int, float]:
    """Return what was allowed, what was asked, and the seconds from the first to the last question."""
    started = last = time.monotonic()
    allowed = asked = 0
    while last < started + seconds:
        answers = await asyncio.gather(*(replica.refuse(make_request()) for replica in replicas))
        allowed += answers.count(None)
        asked += len(answers)
        last = time.monotonic()
        await asyncio.sleep(0)
    return allowed, asked, last - started


def test_three_replicas_allow_what_one_would(redis: Server) -> None:
    async def run() -> tuple[int, int, float]:
        replicas = [make_replica(redis[0], TEXT, replicas=3) for _ in range(3)]
        result = await hammer(replicas, 3)
        assert [fallbacks(replica) for replica in replicas] == [0, 0, 0]
        for replica in replicas:
            await replica.close()
        return result

    allowed, asked, passed = asyncio.run(run())
    rate = parse(TEXT)
    allowance = rate.burst + passed * rate.count / rate.seconds
    assert asked > 3 * allowance
    assert allowance * 0.9 < allowed <= allowance * 1.01 + 1


def test_most_requests_need_no_round_trip(redis: Server) -> None:
    async def run() -> float:
        from redis.asyncio import Redis

        replica = make_replica(redis[0], "100/second burst 100")
        async with Redis(port=redis[0]) as client:
            _, asked, _ = await hammer([replica], 1)
            calls = (await client.info("commandstats"))["cmdstat_evalsha"]["calls"]
        await replica.close()
        return float(calls / asked)

    assert asyncio.run(run()) < 0.1


def test_a_request_that_one_limit_refuses_is_charged_to_none(redis: Server) -> None:
    async def run() -> list[bool]:
        tight, wide = (make_replica(redis[0], "5/hour", text) for text in ("2/hour", "1000/hour"))
        answers = [await tight.refuse(make_request()) is None for _ in range(8)]
        answers += [await wide.refuse(make_request()) is None for _ in range(4)]
        for replica in (tight, wide):
            await replica.close()
        return answers

    assert asyncio.run(run()) == [True] * 2 + [False] * 6 + [False] * 4


def test_redis_killed_in_the_middle(redis: Server) -> None:
    """No request fails; each node goes on with its share, so two nodes allow at most a burst more."""

    async def run() -> tuple[int, int, float, float, float]:
        replicas = [make_replica(redis[0], "20/second burst 20", replicas=2, retry_after=60.0) for _ in range(2)]
        before, _, first = await hammer(replicas, 1)
        redis[1].kill()
        redis[1].wait()
        after, _, second = await hammer(replicas, 1)
        counted = sum(map(fallbacks, replicas))
        for replica in replicas:
            await replica.close()
        return before, after, first, second, counted

    before, after, first, second, counted = asyncio.run(run())
    assert before <= 20 + first * 20 + 1
    assert 20 * second <= after + 2
    leases = 2 * 5
    assert after <= 20 + second * 20 + leases + 2
    assert counted > 0


def test_a_redis_that_is_down_costs_nothing(redis: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> float:
        redis[1].kill()
        redis[1].wait()
        replica = make_replica(redis[0], "1000000/second", retry_after=60.0)
        await replica.refuse(make_request())
        store = replica._leases._store  # type: ignore[attr-defined]
        connected: list[int] = []
        monkeypatch.setattr("ztag_extauthz.stores.redis.connect", connected.append)
        store._client = None
        for _ in range(100):
            assert await replica.refuse(make_request()) is None
        await replica.close()
        return len(connected)

    assert asyncio.run(run()) == 0


def test_it_is_tried_again(redis: Server) -> None:
    async def run() -> list[float]:
        replica = make_replica(redis[0], "1000/second", retry_after=0.05)
        replica._leases._store._down_until = time.monotonic() + 0.05  # type: ignore[attr-defined]
        await replica.refuse(make_request())
        seen = [fallbacks(replica)]
        await asyncio.sleep(0.1)
        await replica.refuse(make_request())
        await replica.close()
        return [*seen, fallbacks(replica)]

    assert asyncio.run(run()) == [1, 1]


def test_a_cluster_charges_all_limits_of_a_request_in_one_call(redis_cluster: int) -> None:
    async def run() -> list[bool]:
        replica = make_replica(redis_cluster, "3/hour", "5/hour", cluster=True, timeout=5.0)
        answers = [await replica.refuse(make_request()) is None for _ in range(4)]
        assert fallbacks(replica) == 0
        await replica.close()
        return answers

    assert asyncio.run(run()) == [True, True, True, False]


def test_a_quota_of_the_day_is_exact(redis: Server) -> None:
    async def run() -> int:
        replicas = [make_replica(redis[0], "7/day fixed", replicas=3) for _ in range(3)]
        allowed, _, _ = await hammer(replicas, 0.5)
        for replica in replicas:
            await replica.close()
        return allowed

    assert asyncio.run(run()) == 7


@pytest.mark.parametrize("text", ["1/second", "100/minute burst 10", "9/day fixed", "1000000/second burst 1"])
def test_a_share_is_never_nothing(text: str) -> None:
    from ztag_extauthz.stores.limits.leases import share

    part = share(parse(text), 100)
    assert part.amount <= part.ceiling
