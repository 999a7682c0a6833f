"""`http.send` against real sockets on loopback."""

import socket
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from ztag_extauthz.rego.engine import Policy, compile_policy
from ztag_extauthz.rego.errors import EvaluationError, LimitError, PolicyError
from ztag_extauthz.rego.values import UNDEFINED, Value

POLICY = "package p\nanswer := http.send(input)\nnone if not http.send(input)\n"


class _Handler(BaseHTTPRequestHandler):
    asked: list[tuple[str, str, bytes, dict[str, str]]]

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked.append((self.command, self.path, body, dict(self.headers)))
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", "http://example.com/")
            self.end_headers()
        elif self.path == "/large":
            self._answer(b"a" * 1_000_001, "text/plain")
        elif self.path == "/plain":
            self._answer(b'{"a": 1}', "text/plain")
        elif self.path == "/broken":
            self._answer(b"{", "application/json")
        else:
            self._answer(b'{"a": 1.0}', "application/json; charset=utf-8")

    do_POST = do_GET  # noqa: N815 (the name is that of the library)

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    _Handler.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as found:
        Thread(target=found.serve_forever, daemon=True).start()
        yield found
        found.shutdown()


def _policy(*hosts: str) -> Policy:
    return compile_policy({"p.rego": POLICY}, entry_points=["p/answer", "p/none"], http_hosts=frozenset(hosts))


def _ask(server: ThreadingHTTPServer, path: str = "/", **more: Value) -> Any:
    request = {"method": "get", "url": f"http://127.0.0.1:{server.server_port}{path}", **more}
    return _policy("127.0.0.1").decision("p/answer").evaluate(request)


def test_an_answer_has_the_fields_that_opa_gives(server: ThreadingHTTPServer) -> None:
    answer = _ask(server, "/x?y=1", headers={"X-A": "b"})
    assert {name: answer[name] for name in ("status", "status_code", "raw_body")} == {
        "status": "200 OK",
        "status_code": 200,
        "raw_body": '{"a": 1.0}',
    }
    assert answer["body"] == {"a": 1}
    assert answer["headers"]["content-type"] == ["application/json; charset=utf-8"]
    method, path, body, headers = _Handler.asked[0]
    assert (method, path, body, headers["X-A"]) == ("GET", "/x?y=1", b"", "b")


def test_a_body_is_sent_as_json(server: ThreadingHTTPServer) -> None:
    _ask(server, method="POST", body={"b": [1], "a": None})
    assert _Handler.asked[0][2] == b'{"a":null,"b":[1]}'
    _ask(server, method="POST", body={}, raw_body="raw")
    assert _Handler.asked[1][2] == b"raw"


def test_only_json_is_decoded_unless_forced(server: ThreadingHTTPServer) -> None:
    assert _ask(server, "/plain")["body"] is None
    assert _ask(server, "/plain", force_json_decode=True)["body"] == {"a": 1}
    assert _ask(server, "/broken")["body"] is None


def test_one_evaluation_asks_once(server: ThreadingHTTPServer) -> None:
    module = "package p\nx := [http.send(input), http.send(input)]\n"
    policy = compile_policy({"p.rego": module}, entry_points=["p/x"], http_hosts=frozenset(["127.0.0.1"]))
    request = {"method": "get", "url": f"http://127.0.0.1:{server.server_port}/"}
    policy.decision("p/x").evaluate(request)
    assert len(_Handler.asked) == 1


def test_never_a_redirect_is_followed(server: ThreadingHTTPServer) -> None:
    assert _ask(server, "/elsewhere")["status_code"] == 302
    with pytest.raises(EvaluationError, match="enable_redirect"):
        _ask(server, "/elsewhere", enable_redirect=True)


def test_a_large_answer_is_refused(server: ThreadingHTTPServer) -> None:
    with pytest.raises(LimitError, match="too large"):
        _ask(server, "/large")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.2/",
        "https://example.com/",
        "https://127.0.0.1@example.com/",
        "https://u:p@127.0.0.1/",
        "https://127.0.0.1.example.com/",
        "https://example.com#127.0.0.1",
        "https://example.com\\@127.0.0.1/",
        "file:///etc/passwd",
        "unix://127.0.0.1/?socket=%2Ftmp%2Fx",
        "ftp://127.0.0.1/",
        "//127.0.0.1/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1/ HTTP/1.1\r\nX: y",
        "http://[::1/",
        "",
    ],
)
def test_never_another_host_or_scheme(url: str) -> None:
    with pytest.raises(EvaluationError):
        _policy("127.0.0.1").decision("p/answer").evaluate({"method": "get", "url": url})


def test_plain_http_is_for_loopback_alone() -> None:
    with pytest.raises(EvaluationError, match="https"):
        _policy("example.com").decision("p/answer").evaluate({"method": "get", "url": "http://example.com/"})


def test_a_port_may_be_named() -> None:
    with pytest.raises(EvaluationError, match="do not name"):
        _policy("127.0.0.1:81").decision("p/answer").evaluate({"method": "get", "url": "http://127.0.0.1:82/"})


@pytest.mark.parametrize(
    "headers", [{"Host": "a"}, {"a": "b\r\nc: d"}, {"a\n": "b"}, {"Transfer-Encoding": "chunked"}, {"a": "ö"}]
)
def test_headers_cannot_split_a_request(headers: dict[str, Value]) -> None:
    request = {"method": "get", "url": "http://127.0.0.1/", "headers": headers}
    with pytest.raises(EvaluationError, match="header"):
        _policy("127.0.0.1").decision("p/answer").evaluate(request)


@pytest.mark.parametrize("request_", [{}, {"method": "get"}, {"method": "get", "url": "http://127.0.0.1/", "bad": 1}])
def test_what_is_no_request_is_undefined(request_: dict[str, Value]) -> None:
    assert _policy("127.0.0.1").decision("p/answer").evaluate(request_) is UNDEFINED
    with pytest.raises(EvaluationError, match="request parameters"):
        _policy("127.0.0.1").decision("p/answer").evaluate(request_, strict=True)


def test_who_does_not_answer_is_undefined_or_told_of() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        request = {"method": "get", "url": f"http://127.0.0.1:{taken.getsockname()[1]}/"}
        ask = _policy("127.0.0.1").decision("p/answer").evaluate
        assert ask(request) is UNDEFINED
        answer = ask({**request, "raise_error": False})
    assert answer["status_code"] == 0
    assert answer["error"]["code"] == "eval_http_send_network_error"


@pytest.mark.parametrize("drip", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_the_deadline_ends_a_request(drip: bytes) -> None:
    """However the other side keeps the connection busy."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        Thread(target=_drip, args=(listener, drip), daemon=True).start()
        begun = time.perf_counter()
        with pytest.raises(LimitError, match="deadline"):
            _policy("127.0.0.1").decision("p/answer").evaluate({"method": "get", "url": url}, deadline=begun + 0.3)


def _drip(listener: socket.socket, first: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.sendall(first)
        try:
            while True:
                connection.sendall(b"a")
                time.sleep(0.02)
        except OSError:
            return


def test_without_hosts_it_is_refused_when_the_policy_is_loaded() -> None:
    with pytest.raises(PolicyError, match=r"http\.send is not supported"):
        compile_policy({"p.rego": POLICY}, entry_points=["p/answer"])


def test_it_is_told_of_as_impure() -> None:
    assert "http.send" in _policy("127.0.0.1").reads("p/answer").impure
