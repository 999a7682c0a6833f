"""`ztag serve` as a process, and what one asks it."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import grpc
import yaml
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse

from tests.server.client import Tls, call, channel, check

GIVE_UP = 40.0
"""Seconds after which a test stops waiting for what should have happened."""


class Ztag:
    """A server that runs under a configuration file."""

    def __init__(self, config: Path) -> None:
        self._stderr = config.with_suffix(".log")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ZTAG_")}
        with self._stderr.open("wb") as stderr:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "ztag_extauthz", "serve", "--config", str(config)],
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=environment,
                text=True,
            )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        found = re.fullmatch(r"ready grpc=(\S+) admin=(\S+)\n", self.line)
        self.addresses = found[1].split(",") if found else []
        self.admin = found[2] if found else ""

    @property
    def log(self) -> str:
        return self._stderr.read_text()

    def check(self, path: str = "/", worker: int = 0, tls: Tls | None = None) -> CheckResponse:
        return CheckResponse.FromString(call(self.addresses[worker], request(path), tls=tls, timeout=10))

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, str]:
        asked = urllib.request.Request(f"http://{self.admin}{path}", headers=dict(headers or {}))
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310 - http, as written above
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def ready(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.get("/readyz")[1])
        return document

    def metric(self, name: str) -> float:
        """Return the sum of a metric's series, of one where the name has labels."""
        lines = self.get("/metrics")[1].splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if re.match(rf"{re.escape(name)}[ {{]", line))

    def workers(self) -> list[int]:
        """Return the processes that hold a worker's place, oldest first."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if _parent(_parent(int(folder.name))) == self.process.pid:
                    found.append(int(folder.name))
        return sorted(found)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        return self.process.wait(GIVE_UP)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


def _parent(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[1])


@contextlib.contextmanager
def serving(folder: Path, **sections: Any) -> Iterator[Ztag]:
    """Run a server under a configuration in a folder, which has a policy already."""
    ztag = Ztag(write_config(folder, **sections))
    try:
        yield ztag
    finally:
        ztag.close()


def write_config(folder: Path, **sections: Any) -> Path:
    config = folder / "ztag.yaml"
    document: dict[str, Any] = {
        "listen": {"grpc": "127.0.0.1:0", "admin": "127.0.0.1:0"},
        "server": {"workers": 2, "drain_timeout": 5.0},
        "authentication": [{"kind": "anonymous"}],
        "authorization": [{"kind": "rego", "policies": ["policy.rego"]}],
    }
    for name, section in sections.items():
        document[name] = {**document.get(name, {}), **section} if isinstance(section, dict) else section
    replace(config, yaml.safe_dump(document))
    return config


def write_policy(folder: Path, revision: str) -> None:
    """Allow everything, and say which revision did."""
    result = f'{{"allowed": true, "headers": {{"x-revision": "{revision}"}}}}'
    replace(folder / "policy.rego", f"package envoy.authz\nimport rego.v1\nresult := {result}\n")


def replace(path: Path, text: str) -> None:
    """Write a file as a whole, so that nobody reads half of it."""
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").rename(path)


def revision(response: CheckResponse) -> str:
    headers = {option.header.key: option.header.value for option in response.ok_response.headers}
    assert response.status.code == 0
    return str(headers["x-revision"])


def request(path: str) -> bytes:
    message = CheckRequest()
    http = message.attributes.request.http
    http.method, http.path, http.host, http.scheme = "GET", path, "example.com", "http"
    http.headers[":method"] = "GET"
    return bytes(message.SerializeToString())


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; the test fails if it never holds."""
    give_up = time.monotonic() + GIVE_UP
    while not condition():
        assert time.monotonic() < give_up, "it did not happen"
        time.sleep(0.02)


class Load(threading.Thread):
    """Asks one worker after the other without a pause, each on a connection that stays."""

    def __init__(self, ztag: Ztag) -> None:
        super().__init__()
        self._ztag = ztag
        self._over = threading.Event()
        self.revisions: list[str] = []
        self.errors: list[grpc.RpcError] = []

    def __enter__(self) -> Self:
        self.start()
        until(lambda: len(self.revisions) > 20)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        channels = [channel(address) for address in self._ztag.addresses]
        while not self._over.is_set():
            for opened in channels:
                try:
                    answer = check(opened)(request("/"), timeout=5)
                    self.revisions.append(revision(CheckResponse.FromString(answer)))
                except grpc.RpcError as error:
                    self.errors.append(error)
        for opened in channels:
            opened.close()
