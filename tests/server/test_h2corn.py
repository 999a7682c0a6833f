"""What only this engine does, as gRPC's own layer is ours here; the body for both is in `test_engine.py`."""

from collections.abc import Iterator

import grpc
import pytest

from tests.server.client import Answer, RawClient, channel, check, watch
from tests.server.parts import Running, running
from tests.server.process import until
from ztag_extauthz.server.framing import frame
from ztag_extauthz.server.h2corn import HEADROOM, OF_ONE_METHOD
from ztag_extauthz.server.service import ACCESS_LOG


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
    assert 0.0 < server.script.allowances[0] <= 1.0


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
    most = 8 + HEADROOM
    with running("h2corn", max_in_flight=8) as server, channel(server.address, None) as opened:
        calls = [check(opened).future(b"wait", timeout=20) for _ in range(most + 40)]
        until(lambda: sum(made.done() for made in calls) >= 40)
        refused = [made for made in calls if made.done()]
        assert {made.code() for made in refused} == {grpc.StatusCode.UNAVAILABLE}
        server.do(server.script.release.set)
        answered = [made.result() for made in calls if made not in refused]
    assert answered == [b"answer to wait"] * most


def test_half_sent_calls_keep_nobody_out_and_end_with_their_deadline() -> None:
    with running("h2corn", max_in_flight=8, default_deadline=0.3) as server, RawClient(server.address) as client:
        halves = [client.begin() for _ in range(300)]
        for stream in halves[::2]:
            client.send(stream, b"\0\0", end=False)
        assert client.answer(halves[0]).status == 4  # the oldest gave way, so that nearly all of them are there
        assert ask(server, frame(b"one"), extra=[("grpc-timeout", "20S")]).status == 0
        with RawClient(server.address) as another:
            assert another.answer(another.begin()).status == 4
        assert len(server.script.allowances) == 1


def test_the_callers_own_deadline_bounds_the_reading_but_not_without_end() -> None:
    with running("h2corn", default_deadline=60.0) as server, RawClient(server.address) as client:
        for timeout in ("100m", "9000H"):
            assert client.answer(client.begin(extra=[("grpc-timeout", timeout)])).status == 4


def test_watchers_are_bounded_and_take_the_place_of_no_check_and_no_log() -> None:
    with running("h2corn", max_in_flight=8) as server, channel(server.address) as opened:
        watchers = [watch(opened)(b"", timeout=20) for _ in range(OF_ONE_METHOD)]
        for watcher in watchers:
            assert next(watcher) == b"\x08\x01"
        with pytest.raises(grpc.RpcError) as caught:
            next(watch(opened)(b"", timeout=20))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert check(opened)(b"one", timeout=5) == b"answer to one"
        assert list(opened.stream_stream(ACCESS_LOG, bytes, bytes)(iter([b"two"]), timeout=10)) == []
        watchers[0].cancel()
        until(lambda: _watches(opened))


def _watches(opened: grpc.Channel) -> bool:
    watcher = watch(opened)(b"", timeout=20)
    try:
        return bool(next(watcher))
    except grpc.RpcError:
        return False
    finally:
        watcher.cancel()
