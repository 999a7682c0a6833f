"""ztag with `engine: opa`: the same policies, kept on a real OPA beside it and asked over a UNIX socket.

Nothing is remembered, so that OPA is asked about every request; OPA may use memory as opa-envoy-plugin may.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from loadtest.load.edges import cpu_of
from loadtest.peers.opa_envoy import LEAN
from loadtest.servers import Own
from loadtest.workload import Workload
from ztag_extauthz.authorization.engines.opa_settings import UNIX, OpaSettings
from ztag_extauthz.settings import Settings

_START: Final = 30.0
"""Seconds that an OPA may take until it listens."""


class Sidecar(Own):
    """ztag and its OPA; OPA's CPU counts as the engine's."""

    def __init__(self, name: str, load: Workload, socket: Path, opa: int) -> None:
        self._opa = opa
        super().__init__(name, "h2corn", load, settings=_asking(load, socket))

    def _spent(self) -> tuple[float, ...]:
        loop, engine, *rest = super()._spent()
        return loop, engine + cpu_of(self._opa), *rest


@contextmanager
def started(binary: Path, load: Workload, name: str) -> Iterator[Sidecar]:
    """Start an OPA and a ztag that asks it."""
    socket = load.folder / "opa.sock"
    command = [str(binary), "run", "--server", f"--addr={UNIX}{socket}", "--log-level=error", "--skip-version-check"]
    process = subprocess.Popen(command, env={**os.environ, **LEAN})
    try:
        _wait(process, socket)
        target = Sidecar(name, load, socket, process.pid)
        yield target
        target.close()
    finally:
        process.terminate()
        process.wait(10)


def _asking(load: Workload, socket: Path) -> Settings:
    changed = {"engine": "opa", "opa": OpaSettings(url=f"{UNIX}{socket}"), "cache": None}
    kinds = tuple(kind.model_copy(update=changed) for kind in load.settings.authorization)
    return load.settings.model_copy(update={"authorization": kinds})


def _wait(process: "subprocess.Popen[bytes]", socket: Path) -> None:
    until = time.monotonic() + _START
    while not socket.exists():
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError("OPA does not listen")
        time.sleep(0.02)
