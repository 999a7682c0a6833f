"""Requests at a constant rate: none is forgotten, whatever the server does."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from loadtest.load import paced
from loadtest.load.paced import OpenLoop, run
from loadtest.servers import Own
from loadtest.workload import workload
from ztag_extauthz.server.service import CHECK


@pytest.fixture
def silent() -> Iterator[str]:
    """Yield the address of a server that reads everything and answers nothing."""

    def read() -> None:
        with suppress(OSError):
            peer, _ = listener.accept()
            with peer:
                while peer.recv(1 << 16):
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        reader = threading.Thread(target=read)
        reader.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    reader.join()


def test_what_is_never_answered_has_failed(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paced, "GRACE", 0.1)
    loop = OpenLoop(silent, [b"a", b"b"], CHECK)
    result, _ = loop.pace(200.0, 0.2)
    loop.close()
    assert (result.answered, result.failed, len(result.latencies)) == (0, 40, 40)
    assert min(result.latencies) >= 0.1, "it counts from when a request was due"
    assert sorted(result.latencies, reverse=True) == list(result.latencies)


def test_what_does_not_fit_into_the_window_is_due_all_the_same(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paced, "GRACE", 0.1)
    loop = OpenLoop(silent, [b"a" * 30_000], CHECK)
    result, late = loop.pace(200.0, 0.2)
    loop.close()
    assert result.failed == len(result.latencies) == 40
    assert len(late) <= 2, "65,535 bytes, until the server says that there is room for more"


@pytest.mark.e2e
def test_a_server_that_keeps_up_answers_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paced, "GRACE", 60.0)
    with workload() as load:
        target = Own("constant", "h2corn", load, "constant")
        try:
            row = run(target, load.messages, 200.0, 0.5)
        finally:
            target.close()
    assert row.failed == 0
    assert 0 < row.rate <= 200.0
    assert 0 < row.p50 <= row.p99
