"""What only this engine does, as gRPC's own layer is ours here; the body for both is in `test_engine.py`."""

import contextlib
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from tests.server.client import Answer, RawClient, channel, check
from tests.server.parts import Running, running
from ztag_extauthz.server.framing import frame


@pytest.fixture
def server() -> Iterator[Running]:
    with running("h2corn", max_message_bytes=4096) as started:
        yield started


def ask(server: Running, data: bytes, **request: object) -> Answer:
    with RawClient(server.address) as client:
        return client.call(data, **request)


@pytest.mark.parametrize("data", [b"", b"\0\0", b"\0\0\0\0\5hell"], ids=["nothing", "no prefix", "no message"])
def test_a_stream_that_ends_within_its_message_is_internal(server: Running, data: bytes) -> None:
    answer = ask(server, data)
    assert (answer.status, answer.headers[b":status"]) == (13, b"200")
    assert server.script.allowances == []


def test_a_flag_that_grpc_does_not_know_is_internal(server: Running) -> None:
    assert ask(server, b"\7" + frame(b"one")[1:]).status == 13


def test_an_unknown_encoding_is_unimplemented_and_the_known_ones_are_named(server: Running) -> None:
    answer = ask(server, b"\1" + frame(b"one")[1:], extra=[("grpc-encoding", "snappy")])
    assert (answer.status, answer.headers[b"grpc-accept-encoding"]) == (12, b"identity, deflate, gzip")


def test_what_is_said_after_the_message_of_a_unary_call_is_not_heard(server: Running) -> None:
    answer = ask(server, frame(b"one") + frame(b"two"))
    assert (answer.status, answer.data) == (0, frame(b"answer to one"))
    assert len(server.script.allowances) == 1


@pytest.mark.parametrize("content_type", ["application/json", "application/grpc-web", "text/plain", None])
def test_what_is_no_grpc_is_415(server: Running, content_type: str | None) -> None:
    assert ask(server, frame(b"one"), content_type=content_type).headers[b":status"] == b"415"
    assert server.script.allowances == []


@pytest.mark.parametrize("content_type", ["application/grpc", "application/grpc+proto", "application/grpc;a=b"])
def test_what_is_grpc(server: Running, content_type: str) -> None:
    assert ask(server, frame(b"one"), content_type=content_type).status == 0


def test_what_is_no_post_is_405(server: Running) -> None:
    assert ask(server, frame(b"one"), method="PUT").headers[b":status"] == b"405"


@pytest.mark.parametrize("timeout", ["abc", "1", "123456789S", "-1S", ""])
def test_a_timeout_that_cannot_be_read_is_none(server: Running, timeout: str) -> None:
    assert ask(server, frame(b"one"), extra=[("grpc-timeout", timeout)]).status == 0
    assert 0.9 < server.script.allowances[0] <= 1.0


def test_an_answer_after_the_client_went_away_is_nobodys_error(
    server: Running, capfd: pytest.CaptureFixture[str]
) -> None:
    with RawClient(server.address) as client:
        waiting = client.begin()
        client.send(waiting, frame(b"wait"))
        half = client.begin()
        client.send(half, b"\0\0", end=False)
        for stream in (waiting, half):
            client.reset(stream)
        assert client.call(frame(b"next")).status == 0
    assert "Traceback" not in capfd.readouterr().err


def test_s34_a_flood_of_resets_ends_the_connection_and_not_the_server(server: Running) -> None:
    with RawClient(server.address) as client:
        for _ in range(2000):
            try:
                client.reset(client.begin())
            except OSError:
                break
        assert client.goaway() == 11
    assert ask(server, frame(b"one")).status == 0


def test_never_5_requests_above_the_bound_are_refused_before_they_wait() -> None:
    with running("h2corn", max_in_flight=8) as server, channel(server.address, None) as opened:
        calls = [check(opened).future(b"wait", timeout=10) for _ in range(40)]
        refused = [made for made in calls if _code_when_refused(made) is grpc.StatusCode.UNAVAILABLE]
        server.do(server.script.release.set)
        answered = [made.result() for made in calls if made not in refused]
    assert answered == [b"answer to wait"] * 8


def _code_when_refused(made: Any) -> grpc.StatusCode | None:
    """Return a refusal's code; None for a call that still waits while nobody releases it."""
    with contextlib.suppress(grpc.FutureTimeoutError):
        made.exception(timeout=0.5)
        code = made.code()
        assert isinstance(code, grpc.StatusCode)
        return code
    return None
