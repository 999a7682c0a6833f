"""A real Redis Cluster on loopback."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tests.stores.conftest import redis_server, wait_until

if TYPE_CHECKING:
    import subprocess

SLOTS = 16384
MASTERS = 3
NODE_TIMEOUT = 1000
"""Milliseconds of silence after which a node is taken for dead."""


class Node(Struct, frozen=True, eq=False):
    """One of it; `client` is redis-py's."""

    port: int
    process: "subprocess.Popen[bytes]"
    client: Any

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Cluster:
    """Three masters, each with so many replicas."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes

    @property
    def port(self) -> int:
        """The port of a node that is alive."""
        return next(node.port for node in self.nodes if node.process.poll() is None)

    def master_of(self, key: bytes) -> Node:
        """Return the node that answers for a key."""
        alive = [node for node in self.nodes if node.process.poll() is None]
        slot = alive[0].client.execute_command("CLUSTER KEYSLOT", key)
        ranges = alive[0].client.execute_command("CLUSTER SLOTS")
        port = next(master[1] for first, last, master, *_ in ranges if first <= slot <= last)
        return next(node for node in self.nodes if node.port == port)

    def is_healthy(self) -> bool:
        """Return whether all who live think that all slots are served."""
        return all(_state(node)["cluster_state"] == "ok" for node in self.nodes if node.process.poll() is None)


def _state(node: Node) -> dict[str, str]:
    state = node.client.execute_command("CLUSTER INFO")
    return state if isinstance(state, dict) else dict(line.split(":") for line in state.decode().split())


@contextmanager
def redis_cluster(folder: Path, replicas: int = 0) -> Iterator[Cluster]:
    """Start three masters, and so many replicas of each."""
    from redis import Redis

    with ExitStack() as stack:
        nodes = []
        for number in range(MASTERS * (1 + replicas)):
            options = ["--cluster-enabled", "yes", "--cluster-node-timeout", str(NODE_TIMEOUT), "--loglevel", "warning"]
            port, process = stack.enter_context(redis_server(folder / str(number), *options))
            nodes.append(Node(port, process, stack.enter_context(Redis(port=port))))
        _join(nodes)
        yield Cluster(nodes)


def _join(nodes: list[Node]) -> None:
    masters = nodes[:MASTERS]
    for number, node in enumerate(masters):
        first, end = (SLOTS * edge // MASTERS for edge in (number, number + 1))
        node.client.execute_command("CLUSTER ADDSLOTS", *range(first, end))
    for node in nodes:
        # Two nodes with one epoch would have to find out which of them is right.
        node.client.execute_command("CLUSTER SET-CONFIG-EPOCH", nodes.index(node) + 1)
    for node in nodes[1:]:
        node.client.execute_command("CLUSTER MEET", "127.0.0.1", nodes[0].port)
    wait_until(lambda: all(_state(node)["cluster_known_nodes"] == str(len(nodes)) for node in nodes), 20)
    for number, node in enumerate(nodes[MASTERS:]):
        node.client.execute_command("CLUSTER REPLICATE", _id(masters[number % MASTERS]))
    wait_until(lambda: all(_state(node)["cluster_state"] == "ok" for node in nodes), 20)
    wait_until(lambda: all(node.client.role()[0] != b"master" for node in nodes[MASTERS:]), 20)
    wait_until(lambda: all(len(node.client.role()[2]) == len(nodes) // MASTERS - 1 for node in masters), 20)


def _id(node: Node) -> str:
    name = node.client.execute_command("CLUSTER MYID")
    return name.decode() if isinstance(name, bytes) else str(name)
