"""What a hit in Redis costs, and what it costs to have configured a Redis that is down."""

import asyncio
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles

from rich.console import Console

from loadtest.cache.replica import messages, redis_settings, running, write_settings
from loadtest.generator import Connection, Result
from tests.stores.cluster import redis_cluster
from tests.stores.conftest import redis_server
from ztag_extauthz.authorization.cache.heard import heard_by
from ztag_extauthz.authorization.cache.replicas import Replicas
from ztag_extauthz.authorization.cache.settings import CacheRedisSettings
from ztag_extauthz.component import Resources
from ztag_extauthz.demo.issuer import Issuer
from ztag_extauthz.meter import Meter
from ztag_extauthz.server.service import CHECK

HITS = 5000
ANSWER = bytes(300)
"""As long as an answer with four headers."""
USERS = 200
RUNS = 7
REQUESTS = 10_000
CONCURRENCY = 16
POLICY = """package envoy.authz

import rego.v1

default result := {"allowed": false}

result := {"allowed": true, "headers": {"x-user": input.identity.subject}} if {
	input.attributes.request.http.method == "GET"
	startswith(input.attributes.request.http.path, "/orders/")
}
"""


def show_hits(console: Console) -> None:
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as (port, _):
        console.print(f"hit in Redis, one after the other: {asyncio.run(_hits(port, cluster=False))}")
    with tempfile.TemporaryDirectory() as folder, redis_cluster(Path(folder), replicas=1) as cluster:
        console.print(f"hit in a Redis Cluster of six:     {asyncio.run(_hits(cluster.port, cluster=True))}")


async def _hits(port: int, *, cluster: bool) -> str:
    settings = CacheRedisSettings.model_validate(redis_settings(port, cluster=cluster))
    resources = Resources(Path(), time.time, Meter())
    heard = heard_by(settings, resources)
    far = Replicas(settings, heard.hears, resources)
    digests = [number.to_bytes(32) for number in range(100)]
    await heard.start()
    await far.start()
    try:
        async with asyncio.timeout(20):
            while not (far.values.up and heard.hears()):  # noqa: ASYNC110 - what is waited for happens in Redis
                await asyncio.sleep(0.01)
            for digest in digests:
                while await far.get(digest, time.monotonic() + 1) is None:
                    far.put(digest, ANSWER, 60.0)
                    await asyncio.sleep(0.01)
        took: list[float] = []
        while len(took) < HITS:
            began = time.perf_counter()
            if await far.get(digests[len(took) % len(digests)], time.monotonic() + 1) is None:
                await asyncio.sleep(0.01)  # later than `timeout` on a busy machine: that is no hit
                continue
            took.append(time.perf_counter() - began)
    finally:
        await far.close()
        await heard.close()
    cuts = quantiles(took, n=100)
    return f"p50 {cuts[49] * 1e3:.3f} ms, p99 {cuts[98] * 1e3:.3f} ms"


def show_stopped(console: Console) -> None:
    """Two servers side by side, asked in turn: one without Redis, one whose Redis was stopped after it was warm."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "policy.rego").write_text(POLICY)
        port, redis = stack.enter_context(redis_server(folder / "redis"))
        issuer = Issuer()
        stack.callback(issuer.stop)
        asked = [message for user in messages(issuer, USERS) for message in user]
        connections = {}
        for name, given in (("without", None), ("stopped", redis_settings(port))):
            config, address = write_settings(folder, name, issuer, {"policies": ["policy.rego"]}, given)
            stack.enter_context(running(config))
            connections[name] = Connection(address, asked, CHECK)
            stack.callback(connections[name].close)
            connections[name].run(2 * len(asked), CONCURRENCY)
        redis.kill()
        redis.wait()
        time.sleep(1.0)
        runs: dict[str, list[Result]] = {name: [] for name in connections}
        for _ in range(RUNS):
            for name, connection in connections.items():
                runs[name].append(connection.run(REQUESTS, CONCURRENCY))
        _tell(console, runs)


def _tell(console: Console, runs: dict[str, list[Result]]) -> None:
    for name, results in runs.items():
        p50, p99 = (median(result.percentile(percent) for result in results) * 1e3 for percent in (50, 99))
        rate = median(result.rate for result in results)
        failed = sum(result.failed for result in results)
        console.print(f"Redis {name}: p50 {p50:.2f} ms, p99 {p99:.2f} ms, {rate:,.0f} requests/s, {failed} failed")
    ratio = median(
        stopped.percentile(99) / without.percentile(99)
        for without, stopped in zip(runs["without"], runs["stopped"], strict=True)
    )
    console.print(f"p99 with Redis stopped against without Redis, median of {RUNS} interleaved pairs: {ratio:.2f}")
