"""Random questions of random people, with the cache on and off; the long form is `make cache`."""

import asyncio
from pathlib import Path

from loadtest.cache.identities import Side, compare, questions, write_policies
from tests.envoy.checks import run
from tests.requests import make_identity
from ztag_extauthz.authorization.cache.settings import CacheSettings
from ztag_extauthz.meter import SERIES
from ztag_extauthz.model import Allow
from ztag_extauthz.stores.shared import SharedMemory, shared_memory

READER = make_identity(claims={"roles": ["reader"], "level": 1})


def test_never_4_the_cache_on_and_off_give_the_same_answers(tmp_path: Path) -> None:
    write_policies(tmp_path)

    async def two_workers(memory: SharedMemory) -> None:
        found = await asyncio.gather(*(compare(tmp_path, memory, 2600, 300, seed) for seed in (1, 2)))
        for counts in found:
            assert counts["worker"] > 300
            assert counts["node"] > 30
            assert counts["evictions"] > 30

    with shared_memory(tmp_path) as memory:
        run(two_workers(memory))


def test_never_4_a_hundred_reloads_mix_no_revisions_and_leave_nothing_behind(tmp_path: Path) -> None:
    write_policies(tmp_path)
    document = questions()[0]

    async def reloaded(memory: SharedMemory) -> None:
        side = Side(tmp_path, memory, CacheSettings(entries=64))
        for number in range(100):
            await side.put_in_force(number % 2)
            answers = await asyncio.gather(*(side.ask(document, READER) for _ in range(5)))
            revision = ("x-revision", f"r{number % 2}")
            assert all(isinstance(answer, Allow) and revision in answer.request_headers for answer in answers)
        assert side.counts()["miss"] == 2
        cell = SERIES["ztag_cache_entries", ()]
        assert side.cells[cell] == 1

    with shared_memory(tmp_path) as memory:
        run(reloaded(memory))
