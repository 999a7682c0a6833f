"""The service behind Envoy: answers with what it received, so that one sees what Envoy let through and changed."""

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class LocalServer:
    """An HTTP server in a thread of its own; on a free loopback port if nothing else is said."""

    def __init__(self, handler: type[BaseHTTPRequestHandler], bind: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        self._server = ThreadingHTTPServer(bind, handler)
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self._server.server_port

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class JsonHandler(BaseHTTPRequestHandler):
    """Answers every method with one JSON document."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    status = 200

    def document(self) -> Any:
        """Return the answer, or None for 404."""
        raise NotImplementedError

    def answer(self) -> None:
        self.status = 200
        document = self.document()
        body = json.dumps(document).encode()
        self.send_response(404 if document is None else self.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Stay silent: the table says what was sent."""


class Echo(JsonHandler):
    """The upstream itself."""

    def document(self) -> dict[str, Any]:
        length = int(self.headers.get("content-length", "0"))
        return {
            "method": self.command,
            "path": self.path,
            "headers": [[name.lower(), value] for name, value in self.headers.items()],
            "body": self.rfile.read(length).decode(errors="replace"),
        }
