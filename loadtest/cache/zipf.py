"""How often an answer is there, on a Zipf trace, beside an exact LRU of the same size.

    python -m loadtest.cache.zipf [--requests 400000] [--users 1000] [--paths 50]

Users and paths are drawn by Zipf's law (s = 1), two workers are asked in turn, and the second half is counted. They are
processes that share one table on tmpfs; where a row says so, one is killed (SIGKILL) in the middle and replaced.
"""

import argparse
import asyncio
import multiprocessing
import os
import signal
import tempfile
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from loadtest.cache.parts import BY_ROLE, BY_USER, FOREVER, Policy, requests, users
from ztag_extauthz.authorization.cache.settings import CacheSettings
from ztag_extauthz.model import Allow, Context
from ztag_extauthz.stores.shared import SharedMemory, shared_memory

CHUNK = 5000
HEARING = 0.3
"""Seconds until a new worker has heard what is to be forgotten: before, no answer of others counts."""


class Plan(Struct, frozen=True):
    """What is asked, and how much room there is for the answers."""

    name: str
    policy: str
    entries: int
    users: int
    paths: int
    worker_bytes: int = 1 << 20
    kills: bool = False


def trace(number: int, people: int, paths: int) -> list[tuple[int, int]]:
    """Draw who asks for what."""
    dice = Random(1)  # noqa: S311 - which, is no secret
    who = dice.choices(range(people), [1 / (rank + 1) for rank in range(people)], k=number)
    what = dice.choices(range(paths), [1 / (rank + 1) for rank in range(paths)], k=number)
    return list(zip(who, what, strict=True))


def exact_lru(asked: Sequence[object], capacity: int) -> float:
    """Return the hit ratio of the second half."""
    kept: OrderedDict[object, None] = OrderedDict()
    hits = 0
    for number, key in enumerate(asked):
        if key in kept:
            kept.move_to_end(key)
            hits += number >= len(asked) // 2
        else:
            kept[key] = None
            if len(kept) > capacity:
                kept.popitem(last=False)
    return hits / (len(asked) - len(asked) // 2)


def work(plan: Plan, folder: Path, memory: SharedMemory, pipe: Connection) -> None:
    """Be a worker: answer each list of questions with what was found where."""
    asyncio.run(_work(plan, folder, memory, pipe))


async def _work(plan: Plan, folder: Path, memory: SharedMemory, pipe: Connection) -> None:
    settings = CacheSettings(entries=plan.entries, ttl=3600, worker_bytes=plan.worker_bytes, entry_bytes=256)
    policy = Policy(folder, memory, settings)
    people, asked = users(plan.users), requests(plan.paths)
    await policy.rego.start()
    await asyncio.sleep(HEARING)
    while True:
        before = policy.lookups()
        for number, (user, path) in enumerate(await asyncio.to_thread(pipe.recv)):
            if number % 50 == 0:
                await asyncio.sleep(0)  # a server has turns of its own, in which it hears what is to be forgotten
            verdict = await policy.rego.authorize(Context(asked[path], people[user]), FOREVER)
            headers = verdict.request_headers if isinstance(verdict, Allow) else ()
            if plan.policy == BY_USER and ("x-user", f"user-{user}") not in headers:
                raise AssertionError(f"user-{user} got the answer of somebody else")
        pipe.send({name: count - before[name] for name, count in policy.lookups().items()})


class Worker:
    """A worker's process."""

    def __init__(self, plan: Plan, folder: Path, memory: SharedMemory) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(plan, folder, memory, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def kill(self) -> None:
        os.kill(self._process.pid or 0, signal.SIGKILL)
        self._process.join()


@contextmanager
def node(plan: Plan) -> Iterator[tuple[Path, SharedMemory]]:
    with tempfile.TemporaryDirectory() as name, shared_memory() as memory:
        (Path(name) / "policy.rego").write_text(plan.policy)
        yield Path(name), memory


def replay(plan: Plan, asked: Sequence[tuple[int, int]]) -> dict[str, float]:
    """Return the shares of the second half that were found in the worker, on the node, or nowhere."""
    found = {"worker": 0, "node": 0, "miss": 0}
    half = len(asked) // 2
    with node(plan) as (folder, memory):
        workers = [Worker(plan, folder, memory) for _ in range(2)]
        for begin in range(0, len(asked), CHUNK):
            if plan.kills and begin - half in range(CHUNK):
                workers[0].kill()
                workers[0] = Worker(plan, folder, memory)
            for number, worker in enumerate(workers):
                worker.pipe.send(asked[begin : begin + CHUNK][number::2])
            for worker in workers:
                counts = worker.pipe.recv()
                if begin >= half:
                    found = {name: number + counts[name] for name, number in found.items()}
        for worker in workers:
            worker.kill()
    return {name: count / sum(found.values()) for name, count in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=400_000)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--paths", type=int, default=50)
    given = parser.parse_args()
    asked = trace(given.requests, given.users, given.paths)
    keys, size = given.users * given.paths, (given.users, given.paths)
    plans = [
        Plan("the answer carries the user, 1/1 of the keys", BY_USER, keys, *size),
        Plan("… 1/2 of the keys", BY_USER, keys // 2, *size),
        Plan("… 1/4 of the keys", BY_USER, keys // 4, *size),
        Plan("… 1/1 of the keys, a worker killed", BY_USER, keys, *size, kills=True),
        Plan("… 1/2 of the keys, a worker killed", BY_USER, keys // 2, *size, kills=True),
        Plan("… 1/4 of the keys, a worker killed", BY_USER, keys // 4, *size, kills=True),
        Plan("… 1/2 of the keys, no memory of the worker's own", BY_USER, keys // 2, *size, worker_bytes=0),
        Plan("the answer depends on roles alone", BY_ROLE, keys, *size),
    ]
    table = Table("policy, and the table's size", "hits", "exact LRU", "in the worker", "on the node", "misses")
    for plan in plans:
        found = replay(plan, asked)
        exact = exact_lru(asked, plan.entries) if plan.policy == BY_USER else 1.0
        shares = (found["worker"] + found["node"], exact, found["worker"], found["node"], found["miss"])
        table.add_row(plan.name, *(f"{share:.4f}" for share in shares))
    console = Console() if Console().is_terminal else Console(width=120)
    console.print(table)


if __name__ == "__main__":
    main()
