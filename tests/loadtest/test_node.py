"""A whole node, as the load test starts it."""

from contextlib import closing

import pytest

from loadtest.chaos.case import until
from loadtest.generator import Connection
from loadtest.load.node import memory, node
from loadtest.workload import workload
from ztag_extauthz.server.service import CHECK

pytestmark = pytest.mark.e2e


def test_a_node_tells_what_it_has_and_what_it_found() -> None:
    with workload() as load, node(load, workers=2, cache={"ttl": 3600}) as running:
        assert len(running.workers) == len(running.addresses) == 2
        for pid in running.workers:
            found = memory(pid)
            assert 0 < found.own < found.resident
            assert found.own + found.tables <= found.resident
        assert running.lookups().total() == 0
        for number, address in enumerate(running.addresses, 1):
            with closing(Connection(address, load.messages[number : number + 1], CHECK)) as connection:
                until(lambda ask=connection: ask.run(1, 1).answered == 1)  # type: ignore[misc] # a busy machine is slow
            assert running.lookups()["miss"] >= number
