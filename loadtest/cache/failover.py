"""Two replicas over a Redis Cluster of six nodes; under load, masters are killed while answers are forgotten.

Every subject has a version; it is raised, and its answers are forgotten. From then on no replica may give an answer of
an earlier version for longer than a second, or while Redis is silent for longer than `max_stale`.
"""

import asyncio
import random
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import grpc
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from rich.console import Console

from loadtest.cache.replica import MAX_STALE, PATHS, messages, redis_settings, running, write_settings
from loadtest.cache.truth import POLICY, USERS, Truth, changing_opa
from tests.stores.cluster import Cluster, redis_cluster
from ztag_extauthz.authorization.cache.invalidation import Invalidation, journal
from ztag_extauthz.authorization.cache.settings import CacheRedisSettings
from ztag_extauthz.authorization.cache.tags import subject
from ztag_extauthz.cli.common import tell
from ztag_extauthz.demo.issuer import Issuer
from ztag_extauthz.demo.processes import Ztag
from ztag_extauthz.server.service import CHECK

SECONDS = 30.0
KILLS = (8.0, 18.0)
"""Seconds after the start when a master dies: first the one that has the journal, then another."""
CLIENTS = 16
WEIGHTS = [1 / (rank + 1) for rank in range(USERS)]


class Run:
    """What was asked, said and found."""

    def __init__(self, truth: Truth, issuer: Issuer, cluster: Cluster) -> None:
        self.truth = truth
        self.issuer = issuer
        self.cluster = cluster
        self.messages = messages(issuer, USERS)
        self.random = random.Random(1)  # noqa: S311 - the same load each time
        self.certain = [(0, 0.0)] * USERS
        """By user: the version that everybody has to know, and the time of `time.monotonic` when that was certain."""
        self.answered = self.failed = self.forgotten = 0
        self.stale: list[float] = []
        """Seconds for which an answer had been wrong, where it was."""
        self.took: list[float] = []
        """Seconds until a forgetting was certain."""
        self.end = time.monotonic() + SECONDS

    async def ask(self, address: str) -> None:
        """Ask one thing after the other."""
        async with grpc.aio.insecure_channel(address) as channel:
            check = channel.unary_unary(CHECK, request_serializer=bytes, response_deserializer=CheckResponse.FromString)
            while (began := time.monotonic()) < self.end:
                (user,) = self.random.choices(range(USERS), WEIGHTS)
                version, since = self.certain[user]
                try:
                    answer = await check(self.messages[user][self.random.randrange(PATHS)], timeout=2.0)
                except grpc.aio.AioRpcError:
                    self.failed += 1
                    continue
                self._judge(answer, version, began - since)

    def _judge(self, answer: CheckResponse, version: int, since: float) -> None:
        headers = {option.header.key: option.header.value for option in answer.ok_response.headers}
        self.answered += 1
        self.failed += answer.status.code != 0
        if answer.status.code == 0 and int(headers["x-version"]) < version:
            self.stale.append(since)

    async def forget(self) -> None:
        """Raise one version after the other, and say that what was answered before is to be forgotten."""
        while time.monotonic() < self.end:
            (user,) = self.random.choices(range(USERS), WEIGHTS)
            began = time.monotonic()
            self.truth.versions[user] += 1
            settings = CacheRedisSettings.model_validate(redis_settings(self.cluster.port, cluster=True))
            tag = subject(self.issuer.url, f"user-{user}")
            await tell(journal(settings, Path()), lambda now, tag=tag: Invalidation(tag, now))  # type: ignore[misc]
            self.certain[user] = (self.truth.versions[user], time.monotonic())
            self.took.append(time.monotonic() - began)
            await asyncio.sleep(0.05)

    async def kill(self, began: float) -> None:
        """Kill the master that has the journal, later another one."""
        for key, second in zip((b"{ztag:forgotten}", b"another"), KILLS, strict=True):
            await asyncio.sleep(began + second - time.monotonic())
            self.cluster.master_of(key).kill()


def show(console: Console) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cluster = stack.enter_context(redis_cluster(folder / "redis", replicas=1))
        truth = stack.enter_context(changing_opa())
        issuer = Issuer()
        stack.callback(issuer.stop)
        (folder / "policy.rego").write_text(POLICY)
        policy = {"engine": "opa", "opa": {"url": truth.url}, "policies": ["policy.rego"]}
        replicas, addresses = [], []
        for number in range(2):
            redis = redis_settings(cluster.nodes[-1].port, cluster=True)
            config, address = write_settings(folder, f"ztag-{number}", issuer, policy, redis)
            replicas.append(stack.enter_context(running(config)))
            addresses.append(address)
        run = Run(truth, issuer, cluster)
        asyncio.run(_load(run, addresses))
        _tell(console, run, replicas)


async def _load(run: Run, addresses: list[str]) -> None:
    began = time.monotonic()
    asking = [run.ask(address) for address in addresses for _ in range(CLIENTS // len(addresses))]
    await asyncio.gather(*asking, run.forget(), run.kill(began))


def _tell(console: Console, run: Run, replicas: list[Ztag]) -> None:
    took = sorted(run.took)
    late = [seconds for seconds in run.stale if seconds > 1.0]
    console.print(
        f"6 nodes, 2 replicas, {SECONDS:.0f} s, masters killed at {KILLS[0]:.0f} and {KILLS[1]:.0f} s: "
        f"{run.answered:,} requests, {run.failed} failed; OPA asked {run.truth.asked.value:,} times"
    )
    console.print(
        f"{len(took)} forgettings, certain after p50 {took[len(took) // 2] * 1e3:.0f} ms, worst {took[-1]:.1f} s; "
        f"answers given that were forgotten: {len(run.stale)}, the last {max(run.stale, default=0.0) * 1e3:.0f} ms "
        f"after it was certain; {len(late)} after more than a second (max_stale is {MAX_STALE:.0f} s)"
    )
    for replica in replicas:
        console.print(f"{replica.name}: {', '.join(_counts(replica))}")


def _counts(replica: Ztag) -> list[str]:
    from http.client import HTTPConnection  # noqa: PLC0415 - once

    connection = HTTPConnection(*replica.admin)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    return [
        line.removeprefix("ztag_cache_") for line in lines if line.startswith("ztag_cache_") and "bucket" not in line
    ]
