"""Six nodes of a Redis Cluster, and a master that is killed: what was said to be forgotten stays so."""

import asyncio
import time
from pathlib import Path

from tests.authorization.cache.test_replicas import settings
from tests.stores.cluster import redis_cluster
from ztag_extauthz.authorization.cache.heard import heard_by
from ztag_extauthz.authorization.cache.invalidation import Invalidation, journal
from ztag_extauthz.authorization.cache.replicas import Replicas
from ztag_extauthz.authorization.cache.settings import CacheRedisSettings
from ztag_extauthz.cli.common import tell
from ztag_extauthz.component import Resources
from ztag_extauthz.meter import Meter

ANN, BOB = ("all", "subject:issuer|ann"), ("all", "subject:issuer|bob")
JOURNAL = b"{ztag:forgotten}"


class Node:
    """What a worker has of it."""

    def __init__(self, given: CacheRedisSettings) -> None:
        resources = Resources(Path(), time.time, Meter())
        self.heard = heard_by(given, resources)
        self.far = Replicas(given, self.heard.hears, resources)

    async def start(self) -> "Node":
        await self.heard.start()
        await self.far.start()
        while not (self.far.values.up and self.heard.hears()):  # noqa: ASYNC110 - what is waited for is a failover
            await asyncio.sleep(0.01)
        return self

    async def close(self) -> None:
        await self.far.close()
        await self.heard.close()


async def forget(given: CacheRedisSettings, tag: str) -> float:
    """Return the Unix time when it is certain."""
    await tell(journal(given, Path()), lambda now: Invalidation(tag, now))
    return time.time()


async def until_heard(node: Node, tags: tuple[str, ...], said_at: float) -> float:
    """Wait; return how many seconds it took since."""
    while node.heard.since(tags) < said_at:  # noqa: ASYNC110 - what is waited for happens in Redis
        await asyncio.sleep(0.01)
    return time.time() - said_at


def test_what_is_forgotten_stays_so_though_the_master_that_heard_it_is_killed_at_once(tmp_path: Path) -> None:
    async def main() -> None:
        with redis_cluster(tmp_path, replicas=1) as cluster:
            given = settings(cluster.port, cluster=True, interval=0.05)
            old = await Node(given).start()
            said_at = await forget(given, ANN[1])
            cluster.master_of(JOURNAL).kill()
            given = settings(cluster.port, cluster=True, interval=0.05)
            again = await forget(given, BOB[1])  # waits for the replica that takes over
            new = await Node(given).start()
            for node in (old, new):
                await until_heard(node, ANN, said_at)
                await until_heard(node, BOB, again)
                await node.close()

    asyncio.run(asyncio.wait_for(main(), 60))
