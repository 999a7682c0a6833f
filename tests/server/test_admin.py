"""The admin listener under clients that hold connections."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.client import connect
from tests.server.process import Ztag, serving


@pytest.fixture
def one_worker(folder: Path) -> Iterator[Ztag]:
    with serving(folder, server={"workers": 1}) as started:
        yield started


@pytest.mark.parametrize("said", [b"", b"GET /livez HTTP/1.1\r\nhost: x\r\nx: "], ids=["silent", "half-sent"])
def test_connections_that_are_held_stop_no_probe(one_worker: Ztag, said: bytes) -> None:
    with contextlib.ExitStack() as held:
        connections = [held.enter_context(connect(one_worker.admin)) for _ in range(600)]
        for connection in connections:
            connection.sendall(said)
        assert one_worker.get("/livez") == (200, "ok\n")
        assert one_worker.get("/readyz")[0] == 200
        assert ended(connections[0])


def test_a_connection_ends_with_its_answer(one_worker: Ztag) -> None:
    with connect(one_worker.admin) as connection:
        connection.sendall(b"GET /x HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"connection: close" in connection.recv(4096)
        assert ended(connection)


def ended(connection: socket.socket) -> bool:
    """Read until the server ends the connection; a reset or a time-out raises."""
    while connection.recv(4096):
        pass
    return True
