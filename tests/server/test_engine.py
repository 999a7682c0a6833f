"""Both engines, one body: what a client sees must not depend on who serves."""

import gzip
import time
import zlib
from pathlib import Path

import grpc
import pytest

from tests.server.certificates import ENVOY, Authority
from tests.server.client import RawClient, Tls, call, channel, check, connect, watch
from tests.server.conftest import Served
from tests.server.parts import running, tls_settings
from tests.server.process import until
from ztag_extauthz.server.framing import frame
from ztag_extauthz.server.health import Serving
from ztag_extauthz.server.service import ACCESS_LOG, MAX_LOG_BYTES

HEALTH_CHECK = "/grpc.health.v1.Health/Check"
HEALTH_WATCH = "/grpc.health.v1.Health/Watch"
AUTHORIZATION = b"\x0a\x23envoy.service.auth.v3.Authorization"
SERVING, NOT_SERVING, SERVICE_UNKNOWN = b"\x08\x01", b"\x08\x02", b"\x08\x03"


def refusal(served: Served, message: bytes, path: str = "", timeout: float | None = 5) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as caught:
        call(served.address, message, tls=served.tls, timeout=timeout, **({"path": path} if path else {}))
    code = caught.value.code()
    assert isinstance(code, grpc.StatusCode)
    return code


class TestCalls:
    def test_answers(self, served: Served) -> None:
        assert call(served.address, b"one", tls=served.tls) == b"answer to one"

    def test_answers_many_on_one_connection(self, served: Served) -> None:
        with channel(served.address, served.tls) as opened:
            method = check(opened)
            calls = [method.future(b"%d" % number, timeout=10) for number in range(300)]
            assert [made.result() for made in calls] == [b"answer to %d" % number for number in range(300)]

    def test_answers_a_message_of_many_frames(self, served: Served) -> None:
        message = b"x" * 3_000_000
        assert call(served.address, message, tls=served.tls) == b"answer to " + message

    def test_unknown_method(self, served: Served) -> None:
        assert refusal(served, b"", "/envoy.service.auth.v2.Authorization/Check") is grpc.StatusCode.UNIMPLEMENTED

    def test_status_of_the_core(self, served: Served) -> None:
        assert refusal(served, b"shed") is grpc.StatusCode.UNAVAILABLE

    def test_s27_an_exception_is_a_grpc_error_that_keeps_its_secrets(self, served: Served) -> None:
        with pytest.raises(grpc.RpcError) as caught:
            call(served.address, b"fail", tls=served.tls)
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        assert "secret" not in str(caught.value.details())

    def test_hears_how_requests_ended(self, served: Served) -> None:
        with channel(served.address, served.tls) as opened:
            log = opened.stream_stream(ACCESS_LOG, bytes, bytes)
            assert list(log(iter([b"one", b"two"]), timeout=10)) == []
        assert served.server.script.heard[-2:] == [b"one", b"two"]

    def test_a_log_that_is_too_long_or_that_nobody_wants_ends_with_the_reason(self, served: Served) -> None:
        with channel(served.address, served.tls) as opened:
            log = opened.stream_stream(ACCESS_LOG, bytes, bytes)
            for message, code in (
                (b"x" * (MAX_LOG_BYTES + 1), grpc.StatusCode.RESOURCE_EXHAUSTED),
                (b"shed", grpc.StatusCode.UNAVAILABLE),
            ):
                with pytest.raises(grpc.RpcError) as caught:
                    list(log(iter([message]), timeout=10))
                assert caught.value.code() is code
        assert call(served.address, b"one", tls=served.tls) == b"answer to one"

    def test_health(self, served: Served) -> None:
        for service in (b"", AUTHORIZATION):
            assert call(served.address, service, tls=served.tls, path=HEALTH_CHECK) == SERVING
        assert refusal(served, b"\x0a\x01x", HEALTH_CHECK) is grpc.StatusCode.NOT_FOUND
        assert refusal(served, b"\xff", HEALTH_CHECK) is grpc.StatusCode.INVALID_ARGUMENT

    def test_health_watch_tells_every_change_and_ends_with_the_server(self, served: Served) -> None:
        with channel(served.address, served.tls) as opened:
            watched = watch(opened)(b"", timeout=10)
            assert next(watched) == SERVING
            served.server.do(served.server.health.set, Serving.NOT_SERVING)
            assert next(watched) == NOT_SERVING
            unknown = watch(opened)(b"\x0a\x01x", timeout=10)
            assert next(unknown) == SERVICE_UNKNOWN
            served.server.do(served.server.health.close)
            with pytest.raises(grpc.RpcError) as caught:
                next(watched)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


class TestDeadlines:
    # gRPC sends a timeout of few digits, rounded up.
    @pytest.mark.parametrize(("timeout", "least", "most"), [(60.0, 30.0, 61.0), (20.0, 5.0, 21.0), (None, 0.0, 1.0)])
    def test_never_5_the_callers_deadline_or_the_default(
        self, plain: Served, timeout: float | None, least: float, most: float
    ) -> None:
        call(plain.address, b"one", timeout=timeout)
        assert least < plain.server.script.allowances[0] <= most

    def test_a_call_that_its_client_gave_up_is_cancelled(self, plain: Served) -> None:
        with channel(plain.address) as opened:
            waiting = check(opened).future(b"wait", timeout=60)
            until_asked(plain.server.script.allowances)
            waiting.cancel()
            assert check(opened)(b"next", timeout=20) == b"answer to next"
        until(lambda: plain.server.script.cancelled == 1)


class TestFrames:
    """What a bare client may send; where the engines differ is in their own tests."""

    def test_compressed_messages(self, plain: Served) -> None:
        with RawClient(plain.address) as client:
            for encoding, packed in (("gzip", gzip.compress(b"one")), ("deflate", zlib.compress(b"one"))):
                answer = client.call(b"\1" + frame(packed)[1:], extra=[("grpc-encoding", encoding)])
                assert (answer.status, answer.data) == (0, frame(b"answer to one"))

    def test_uncompressed_messages_of_a_client_that_could_compress(self, plain: Served) -> None:
        with RawClient(plain.address) as client:
            assert client.call(frame(b"one"), extra=[("grpc-encoding", "gzip")]).data == frame(b"answer to one")

    @pytest.mark.parametrize(
        ("data", "encoding", "status"),
        [
            (b"\1" + frame(b"no gzip")[1:], "gzip", 13),
            (b"\1" + frame(b"one")[1:], "identity", 13),
            (b"\1" + frame(gzip.compress(b"x" * 1_000_000))[1:], "gzip", 8),
            (frame(b"x" * 5000), "identity", 8),
            (b"\0\xff\xff\xff\xff", "identity", 8),
        ],
        ids=["no gzip", "compressed by nothing", "gzip bomb", "oversized", "announced oversized"],
    )
    def test_refused_messages(self, plain: Served, data: bytes, encoding: str, status: int) -> None:
        with RawClient(plain.address) as client:
            answer = client.call(data, extra=[("grpc-encoding", encoding)])
            assert answer.status == status
            assert client.call(frame(b"next")).status == 0
        assert plain.server.script.allowances[1:] == []

    def test_a_message_in_small_pieces(self, plain: Served) -> None:
        with RawClient(plain.address) as client:
            stream = client.begin()
            for byte in frame(b"one"):
                client.send(stream, bytes([byte]), end=False)
            client.send(stream, b"")
            assert client.answer(stream).data == frame(b"answer to one")

    def test_s34_more_streams_than_any_limit_would_allow(self, plain: Served) -> None:
        with RawClient(plain.address) as client:
            streams = [client.begin() for _ in range(90)]
            for stream in streams:
                client.send(stream, frame(b"one"))
            assert {client.answer(streams[-1]).status} == {0}

    def test_a_big_header_is_no_trouble(self, plain: Served) -> None:
        with RawClient(plain.address) as client:
            extra = [(f"x-{number}", "v" * 60) for number in range(90)]
            assert client.call(frame(b"one"), extra=extra).status == 0


class TestTls:
    def test_allowed_by_dns_name(self, kind: str, pki: Path) -> None:
        settings = tls_settings(pki, client_ca=True, allowed=("envoy.EDGE.example",))
        with running(kind, tls=settings) as server:
            tls = Tls(pki / "ca.pem", pki / "envoy.pem", pki / "envoy.key")
            assert call(server.address, b"one", tls=tls) == b"answer to one"

    def test_s32_a_stranger_of_the_same_mesh_is_no_allowed_client(self, kind: str, pki: Path) -> None:
        with running(kind, tls=tls_settings(pki, client_ca=True, allowed=(ENVOY,))) as server:
            tls = Tls(pki / "ca.pem", pki / "stranger.pem", pki / "stranger.key")
            served = Served(kind, server, tls)
            for path in ("", HEALTH_CHECK, HEALTH_WATCH):
                assert refusal(served, b"", path) is grpc.StatusCode.PERMISSION_DENIED
            assert server.script.allowances == []

    def test_s32_without_or_with_a_foreign_certificate_there_is_no_connection(self, kind: str, pki: Path) -> None:
        foreign = Authority("elsewhere").issue("envoy", ENVOY)
        foreign.write(pki, "foreign")
        with running(kind, tls=tls_settings(pki, client_ca=True)) as server:
            for tls in (Tls(pki / "ca.pem"), Tls(pki / "ca.pem", pki / "foreign.pem", pki / "foreign.key")):
                assert refusal(Served(kind, server, tls), b"one") is grpc.StatusCode.UNAVAILABLE
            assert server.script.allowances == []

    def test_plain_text_is_not_answered(self, kind: str, pki: Path) -> None:
        with running(kind, tls=tls_settings(pki)) as server:
            assert refusal(Served(kind, server, None), b"one") is grpc.StatusCode.UNAVAILABLE

    def test_renewed_certificates_serve_the_connections_that_come(self, kind: str, pki: Path) -> None:
        with running(kind, tls=tls_settings(pki)) as server:
            old = Tls(pki / "ca.pem")
            assert call(server.address, b"one", tls=old) == b"answer to one"
            replace_authority(pki)
            server.run(server.engine.renew())
            assert call(server.address, b"two", tls=Tls(pki / "ca.pem")) == b"answer to two"
            (pki / "server.pem").write_text("no certificate")
            with pytest.raises((OSError, ValueError)):
                server.run(server.engine.renew())
            assert call(server.address, b"three", tls=Tls(pki / "ca.pem")) == b"answer to three"

    def test_never_5_calls_under_way_outlive_the_renewal(self, kind: str, pki: Path) -> None:
        with running(kind, tls=tls_settings(pki)) as server, channel(server.address, Tls(pki / "ca.pem")) as opened:
            method = check(opened)
            waiting = method.future(b"wait", timeout=10)
            until_asked(server.script.allowances)
            server.run(server.engine.renew())
            server.do(server.script.release.set)
            assert waiting.result() == b"answer to wait"


class TestStop:
    def test_never_5_what_is_under_way_is_answered(self, served: Served) -> None:
        with channel(served.address, served.tls) as opened:
            waiting = check(opened).future(b"wait", timeout=10)
            until_asked(served.server.script.allowances)
            stopping = served.server.begin(served.server.engine.stop())
            assert not stopping.done()
            served.server.do(served.server.script.release.set)
            assert waiting.result() == b"answer to wait"
            stopping.result(10)

    def test_an_idle_client_is_told_to_go(self, plain: Served) -> None:
        with RawClient(plain.address) as client:
            assert client.call(frame(b"one")).status == 0
            stopping = plain.server.begin(plain.server.engine.stop())
            assert client.goaway() == 0
        stopping.result(10)

    def test_what_is_not_answered_in_time_is_cancelled(self, kind: str) -> None:
        with running(kind, drain_timeout=0.2) as server, channel(server.address) as opened:
            waiting = check(opened).future(b"wait", timeout=10)
            until_asked(server.script.allowances)
            server.run(server.engine.stop())
            assert isinstance(waiting.exception(), grpc.RpcError)
            assert server.script.cancelled == 1


def until_asked(allowances: list[float]) -> None:
    """Wait until a call has reached the core."""
    until = time.monotonic() + 10
    while not allowances:
        assert time.monotonic() < until
        time.sleep(0.005)


def replace_authority(pki: Path) -> None:
    """Give the server a certificate of another authority."""
    authority = Authority("mesh, next year")
    (pki / "ca.pem").write_bytes(authority.certificate)
    authority.issue("server", "127.0.0.1").write(pki, "server")


def test_idle_connections_stay(plain: Served) -> None:
    with connect(plain.address):
        assert call(plain.address, b"one") == b"answer to one"
