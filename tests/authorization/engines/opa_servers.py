"""OPAs to ask: the real one where its binary is found (`OPA`, or on the path), and a stand-in with its HTTP API."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import UnixStreamServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from ztag_extauthz.rego.documents import dumps, loads
from ztag_extauthz.rego.engine import compile_policy
from ztag_extauthz.rego.errors import EvaluationError, PolicyError
from ztag_extauthz.rego.values import UNDEFINED

REAL = os.environ.get("OPA") or shutil.which("opa")


class StandIn:
    """Policies and data as OPA keeps them, evaluated by the embedded engine."""

    def __init__(self, address: Any) -> None:
        self.policies: dict[str, str] = {}
        self.data: dict[str, Any] = {}
        self.asked: list[tuple[str, str]] = []
        self.connections = 0
        self.lock = Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                outer.connections += 1
                super().setup()

            def address_string(self) -> str:
                return ""

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
                """Say nothing."""

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                path = urlsplit(self.path).path
                with outer.lock:
                    outer.asked.append((self.command, unquote(path)))
                    status, document = outer.answer(self.command, path.split("/")[1:], body)
                text = b"" if status == 204 else json.dumps(document).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

        self.server = (_Server if isinstance(address, tuple) else _UnixServer)(address, Handler)

    def answer(self, method: str, path: list[str], body: bytes) -> tuple[int, Any]:
        match method, path:
            case "GET", ["health"]:
                return 200, {}
            case "GET", ["v1", "policies"]:
                return 200, {"result": [{"id": name} for name in self.policies]}
            case _, ["v1", "policies", *parts]:
                return self._policy(method, unquote("/".join(parts)), body.decode())
            case _, ["v1", "data", *parts]:
                return self._data(method, [unquote(part) for part in parts], body)
        return 404, {}

    def _policy(self, method: str, name: str, text: str) -> tuple[int, Any]:
        if method == "DELETE":
            return (200, {}) if self.policies.pop(name, None) is not None else (404, {})
        try:
            compile_policy({**self.policies, name: text}, self.data)
        except PolicyError as error:
            first = error.mistakes[0]
            told = {"code": first.code, "message": first.message, "location": {"row": first.line}}
            return 400, {"code": "invalid_parameter", "errors": [told]}
        self.policies[name] = text
        return 200, {}

    def _data(self, method: str, parts: list[str], body: bytes) -> tuple[int, Any]:
        *way, last = parts
        parent = self.data
        if method in ("PUT", "DELETE"):
            for part in way:
                parent = parent.setdefault(part, {})
            if method == "PUT":
                parent[last] = loads(body)
                return 204, None
            return (204, None) if parent.pop(last, None) is not None else (404, {})
        return self._evaluate("/".join(parts), loads(body)["input"] if body else UNDEFINED)

    def _evaluate(self, point: str, document: Any) -> tuple[int, Any]:
        try:
            policy = compile_policy(self.policies, self.data, entry_points=[point])
            value = policy.decision(point).evaluate(document)
        except PolicyError:
            return 200, {}
        except EvaluationError as error:
            return 500, {"code": "internal_error", "errors": [{"code": error.code, "message": "no"}]}
        return 200, {} if value is UNDEFINED else {"result": json.loads(dumps(value))}

    @contextmanager
    def running(self) -> Iterator["StandIn"]:
        thread = Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.server.shutdown()
            self.server.server_close()
            thread.join()

    @property
    def url(self) -> str:
        address: Any = self.server.server_address
        return f"unix://{address}" if isinstance(address, str) else f"http://127.0.0.1:{address[1]}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of the tests."""


class _UnixServer(_Server):
    address_family = UnixStreamServer.address_family

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)


@contextmanager
def real(folder: Path, binary: Path | None = None) -> Iterator[str]:
    """Run the real OPA on a socket of its own; yield its url."""
    found = binary or REAL
    if found is None:
        pytest.skip("no opa here: name one by OPA")
    path = folder / "opa.sock"
    command = [str(found), "run", "--server", "--addr", f"unix://{path}", "--log-level", "error"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)  # noqa: S603 - what the developer named
    try:
        until = time.monotonic() + 30
        while not path.exists():
            assert time.monotonic() < until
            assert process.poll() is None
            time.sleep(0.02)
        yield f"unix://{path}"
    finally:
        process.terminate()
        process.wait()
