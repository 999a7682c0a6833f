"""A whole `ztag serve`: its supervisor, its workers, and where they listen."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

from loadtest.chaos.case import children
from loadtest.workload import Workload
from ztag_extauthz.demo.processes import Ztag, fetch, free_ports
from ztag_extauthz.demo.stack import LOOPBACK

_CELL = 'ztag_cache_lookups_total{result="'


class Memory(Struct, frozen=True):
    """Bytes of a process that are in memory."""

    resident: int
    own: int
    """What no other process has: not a library, not the node's tables."""
    tables: int
    """Of the node's tables, which are there once."""


def memory(pid: int) -> Memory:
    fields = re.findall(
        r"^(VmRSS|RssAnon|RssShmem):\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE
    )
    found = {name: int(size) << 10 for name, size in fields}
    return Memory(found["VmRSS"], found["RssAnon"], found["RssShmem"])


class Node:
    """A running node."""

    def __init__(self, ztag: Ztag, ports: Sequence[int]) -> None:
        self._ztag = ztag
        self.addresses = [f"{LOOPBACK}:{port}" for port in ports]

    @property
    def workers(self) -> list[int]:
        """The processes that hold a worker, which are the grandchildren of ztag's own."""
        return [grandchild for child in children(self._ztag.pid) for grandchild in children(child)]

    @property
    def around(self) -> list[int]:
        """The other processes."""
        return [self._ztag.pid, *children(self._ztag.pid)]

    def lookups(self) -> Counter[str]:
        """Return how many answers of the policy were found where, so far."""
        lines = fetch(self._ztag.admin, "/metrics")[1].decode().splitlines()
        found = (line.removeprefix(_CELL).partition('"} ') for line in lines if line.startswith(_CELL))
        return Counter({name: int(float(count)) for name, _, count in found})


@contextmanager
def node(
    load: Workload, workers: int = 1, like: str = "ztag.yaml", cache: Mapping[str, Any] | None = None
) -> Iterator[Node]:
    """Start a node with one of the workload's settings; `cache` replaces the settings of the policy's cache."""
    *grpc, admin = free_ports(workers + 1)
    said = yaml.safe_load((load.folder / like).read_text())
    said |= {
        "listen": {"grpc": f"{LOOPBACK}:{grpc[0]}", "admin": f"{LOOPBACK}:{admin}"},
        "server": {"workers": workers},
    }
    if cache:
        said["authorization"][-1]["cache"] = dict(cache)
    config = load.folder / f"node-{admin}.yaml"
    config.write_text(yaml.safe_dump(said))
    ztag = Ztag(config, load.folder, Path(config).stem)
    try:
        yield Node(ztag, grpc)
    finally:
        ztag.stop()
