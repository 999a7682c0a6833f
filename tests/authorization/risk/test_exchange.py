"""What replicas tell each other of failures, with a real Redis."""

import asyncio
import subprocess  # noqa: TC003 - as plain as in any other test
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.authorization.risk.test_authorizer import AWAY, Case
from tests.requests import make_identity
from tests.stores.conftest import ask_redis
from ztag_extauthz.authorization.risk.exchange import ExchangeSettings
from ztag_extauthz.authorization.risk.state import State
from ztag_extauthz.component import private_memory
from ztag_extauthz.meter import Meter
from ztag_extauthz.stores.shared import shared_memory

Server = tuple[int, "subprocess.Popen[bytes]"]
SECRET = "s" * 32
STREAM = "{ztag:risk}:failures"
ALICE = make_identity()


class Replica(Case):
    """A scorer on a node of its own."""

    def __init__(self, folder: Path, port: int, secret: str = SECRET, **redis: Any) -> None:
        super().__init__(
            folder,
            outcomes=True,
            replicas={"url": f"redis://127.0.0.1:{port}", "secret": secret, "timeout": 30} | redis,
        )
        exchange = self.risk._exchange
        assert exchange is not None
        self.exchange = exchange

    def fail(self, count: int) -> None:
        for _ in range(count):
            self.risk.scorer.outcome(AWAY, ALICE, self.clock.now, failed=True)

    def score(self) -> float:
        return self.risk.scorer.assess(AWAY, ALICE, self.clock.now).score

    def told(self, result: str) -> float:
        return self.cells[Meter.series("ztag_risk_exchange", result)]


def run(body: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await body()

    asyncio.run(whole())


async def turns(*replicas: Replica) -> None:
    for replica in replicas:
        await replica.exchange.turn()


async def close(*replicas: Replica) -> None:
    for replica in replicas:
        await replica.risk.close()


def test_what_failed_at_one_counts_at_the_others_and_once(redis: Server, tmp_path: Path) -> None:
    async def body() -> None:
        one, two, alone = (Replica(tmp_path, redis[0]) for _ in range(3))
        await turns(one, two)
        for replica in (one, alone):
            replica.fail(20)
        await turns(one, two, one, two)
        assert two.score() == pytest.approx(alone.score(), rel=1e-3), "as if they had failed here"
        assert [(each.told("sent"), each.told("received")) for each in (one, two)] == [(1, 0), (0, 1)]
        await close(one, two, alone)

    run(body)


def test_one_worker_of_a_node_reads(redis: Server, tmp_path: Path) -> None:
    async def body() -> None:
        other, one, two = (Replica(tmp_path, redis[0]) for _ in range(3))
        two.exchange._node = one.exchange._node
        await turns(one, two, other)
        other.fail(5)
        one.fail(5)
        await turns(other, two, one, two, one)
        assert [each.told("received") for each in (one, two)] == [1, 0]
        await close(other, one, two)

    run(body)


def test_what_is_forged_or_old_counts_for_nothing(redis: Server, tmp_path: Path) -> None:
    async def body() -> None:
        one, forger, late = (
            Replica(tmp_path, redis[0]),
            Replica(tmp_path, redis[0], "x" * 32),
            Replica(tmp_path, redis[0]),
        )
        await turns(one, forger, late)
        before = one.score()
        for replica in (forger, late):
            replica.fail(50)
        late.clock.now -= 61
        await turns(forger, late)
        for junk in ("", "junk", "x" * 100):
            await ask_redis(redis[0], "XADD", STREAM, "*", "d", junk)
        await turns(one)
        assert one.told("refused") == 5
        assert one.told("received") == 0
        assert one.score() == pytest.approx(before, rel=0.2), "but for the question itself"
        await close(one, forger, late)

    run(body)


def test_without_redis_each_knows_what_it_sees(redis: Server, tmp_path: Path) -> None:
    async def body() -> None:
        redis[1].kill()
        redis[1].wait()
        one = Replica(tmp_path, redis[0], retry_after=3600.0)
        before = one.score()
        one.fail(30)
        await turns(one, one)
        assert one.told("error") == 2
        assert one.score() > before
        await close(one)

    run(body)


def test_what_is_told_in_an_interval_is_bounded(redis: Server, tmp_path: Path) -> None:
    async def body() -> None:
        one = Replica(tmp_path, redis[0])
        for number in range(5000):
            one.exchange.note(number, number, failed=True)
            one.exchange.note(number, number, failed=False)
        assert len(one.exchange._seen) == 500
        await turns(one)
        assert await ask_redis(redis[0], "XLEN", STREAM) == 1
        assert 0 < await ask_redis(redis[0], "PTTL", STREAM) <= 60_000
        await close(one)

    run(body)


def test_it_runs_by_itself(redis: Server, tmp_path: Path) -> None:
    async def body() -> None:
        one, two = (Replica(tmp_path, redis[0], interval=0.01) for _ in range(2))
        for replica in (one, two):
            await replica.risk.start()
        async with asyncio.timeout(30):
            while not two.told("received"):
                one.fail(1)
                await asyncio.sleep(0.01)
        await close(one, two)

    run(body)


def test_the_secret_is_said_once() -> None:
    with pytest.raises(ValidationError, match="give either secret or secret_file"):
        ExchangeSettings.model_validate({"url": "redis://a.example"})


def test_a_snapshot_of_another_key_is_not_used(tmp_path: Path) -> None:
    """Its hashes would mean nobody; and after a reload with another key, the old block is left to who still uses it."""
    one = State(private_memory, seed=b"a" * 32)
    one.longs[0] = 7
    kept = bytes(one.block)
    assert [int(State(private_memory, kept, seed).longs[0]) for seed in (b"a" * 32, b"b" * 32, b"")] == [7, 0, 7]
    with shared_memory(tmp_path) as memory:
        State(memory, seed=b"a" * 32).longs[0] = 7
        assert [int(State(memory, seed=seed).longs[0]) for seed in (b"a" * 32, b"b" * 32)] == [7, 0]
