"""A whole node, as the load test starts it."""

import pytest

from loadtest.generator import Connection
from loadtest.load.node import memory, node
from loadtest.workload import workload
from ztag_extauthz.server.service import CHECK

pytestmark = pytest.mark.e2e


def test_a_node_tells_what_it_has_and_what_it_found() -> None:
    with workload() as load, node(load, workers=2, cache={"ttl": 3600}) as running:
        assert len(running.workers) == len(running.addresses) == 2
        for pid in [*running.workers, *running.around]:
            found = memory(pid)
            assert 0 < found.own < found.resident
            assert found.own + found.tables <= found.resident
        connections = [Connection(address, load.messages[:2], CHECK) for address in running.addresses]
        for connection in connections:
            result = connection.run(4, 1)
            connection.close()
            assert (result.answered, result.failed) == (4, 0)
        assert running.lookups()["miss"] >= 2
        assert running.lookups().total() <= 8
