"""Processes that die, and what the kernel gives them no more."""

import os
import resource
import signal
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

from loadtest.chaos.case import HELD, Case, metric, until, workers_of
from loadtest.chaos.certificates import Authority
from ztag_extauthz.demo.processes import Ztag
from ztag_extauthz.demo.stack import Stack
from ztag_extauthz.wire.envoy import ClientTls, Wishes

ENVOY = "spiffe://mesh.example/ns/edge/sa/envoy"


class WorkerKilled(Case):
    """A worker killed (-9), three times."""

    def fault(self, stack: Stack) -> None:
        for _ in range(3):
            before = workers_of(stack)
            os.kill(before[0], signal.SIGKILL)
            until(lambda before=before: len(set(workers_of(stack)) - set(before)) == 1)  # type: ignore[misc]
            until(lambda: metric(stack, "ztag_worker_up") == 2)


class SupervisorKilled(Case):
    """The supervisor killed (-9); it is started again as a kubelet would."""

    may_fail: ClassVar[float] = 0.8
    """From its death to the new one's readiness nobody answers, and Envoy refuses."""
    recovery: ClassVar[float] = 10.0

    def fault(self, stack: Stack) -> None:
        workers = workers_of(stack)
        stack.ztag.signal(signal.SIGKILL)
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
        began = time.monotonic()
        stack.ztag.stop()
        stack.ztag = Ztag(stack.config, stack.folder, name="ztag-again")
        self.remarks.append(f"ready again {time.monotonic() - began:.1f} s after the start")


class ReloadStorm(Case):
    """Forty reloads, one each tenth of a second."""

    def fault(self, stack: Stack) -> None:
        for _ in range(40):
            stack.ztag.signal(signal.SIGHUP)
            time.sleep(0.1)
        until(lambda: metric(stack, 'ztag_reloads_total{result="ok"') > 0)


class CertificatesRotated(Case):
    """Certificates of mTLS replaced three times."""

    def settings(self, parts: ExitStack, folder: Path) -> Mapping[str, Any]:
        self.authority = Authority(folder)
        server, envoy = self.authority.issue("server", dns="ztag.test"), self.authority.issue("envoy", uri=ENVOY)
        self.client = ClientTls(server_name="ztag.test", ca=self.authority.file, certificate=envoy[0], key=envoy[1])
        files = {"certificate": server[0], "key": server[1], "client_ca": self.authority.file}
        return {"listen": {"tls": {**files, "allowed_clients": [ENVOY]}}}

    def wishes(self) -> Wishes:
        return Wishes(timeout=1.0, tls=self.client)

    def fault(self, stack: Stack) -> None:
        for _ in range(3):
            self.authority.issue("server", dns="ztag.test")
            time.sleep(2.0)


class AuditDiskFull(Case):
    """No byte more for the audit log (RLIMIT_FSIZE), for three seconds."""

    def settings(self, parts: ExitStack, folder: Path) -> Mapping[str, Any]:
        return {"reporting": [{"kind": "audit", "to": "audit.log"}]}

    def fault(self, stack: Stack) -> None:
        workers, log = workers_of(stack), stack.folder / "audit.log"
        for pid in workers:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        time.sleep(HELD)
        dropped = metric(stack, "ztag_audit_dropped_total")
        for pid in workers:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        full = log.stat().st_size
        until(lambda: log.stat().st_size > full)
        self.remarks.append(f"{dropped:.0f} audit lines dropped, and counted; written again afterwards")


class DescriptorsExhausted(Case):
    """No file descriptor left in any worker (RLIMIT_NOFILE), for three seconds."""

    def fault(self, stack: Stack) -> None:
        workers = workers_of(stack)
        limits = {pid: resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in workers}
        for pid, (_, hard) in limits.items():
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(list(Path(f"/proc/{pid}/fd").iterdir())), hard))
        time.sleep(HELD)
        for pid, limit in limits.items():
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)


class MemoryLimit(Case):
    """No memory left for one worker (RLIMIT_DATA), until it dies or for three seconds."""

    recovery: ClassVar[float] = 10.0
    may_fail: ClassVar[float] = 0.05

    def fault(self, stack: Stack) -> None:
        pid = workers_of(stack)[0]
        unlimited = resource.prlimit(pid, resource.RLIMIT_DATA, (1 << 20, resource.RLIM_INFINITY))
        end = time.monotonic() + HELD
        while time.monotonic() < end and Path(f"/proc/{pid}").exists():
            time.sleep(0.05)
        if Path(f"/proc/{pid}").exists():
            resource.prlimit(pid, resource.RLIMIT_DATA, unlimited)
            self.remarks.append("went on with what it had")
        else:
            self.remarks.append("the worker died and was replaced")
        until(lambda: metric(stack, "ztag_worker_up") == 2)


CASES = (
    WorkerKilled,
    SupervisorKilled,
    ReloadStorm,
    CertificatesRotated,
    AuditDiskFull,
    DescriptorsExhausted,
    MemoryLimit,
)
