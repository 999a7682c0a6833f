"""Uploads to a real HTTP server on loopback."""

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from ztag_extauthz.errors import SettingsError
from ztag_extauthz.reporting import collector
from ztag_extauthz.reporting.collector import Collector, RefusedError, check_url, pack


class Endpoint(HTTPServer):
    """Answers with the statuses that it was given, and then with 200."""

    def __init__(self, *statuses: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.statuses = list(statuses)
        self.uploads: list[tuple[str, str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        body = gzip.decompress(self.rfile.read(int(self.headers["content-length"])))
        self.server.uploads.append((self.path, self.headers["authorization"], json.loads(body)))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


@contextmanager
def listening(*statuses: int) -> Iterator[Endpoint]:
    with Endpoint(*statuses) as endpoint:
        Thread(target=endpoint.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield endpoint
        finally:
            endpoint.shutdown()


def test_events_are_posted_as_a_gzipped_array() -> None:
    with listening() as endpoint:
        Collector(f"{endpoint.url}/a/", "t0ken", None).upload(pack([b"1", b'{"a":2}']), Event())
        assert endpoint.uploads == [("/a/logs", "Bearer t0ken", [1, {"a": 2}])]


def test_what_may_pass_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "FIRST_REST", 0.001)
    with listening(503, 429, 500) as endpoint:
        Collector(endpoint.url, "", None).upload(pack([b"1"]), Event())
        assert len(endpoint.uploads) == 4


def test_a_refusal_is_final() -> None:
    with listening(403) as endpoint, pytest.raises(RefusedError, match="403"):
        Collector(endpoint.url, "", None).upload(pack([b"1"]), Event())


def test_an_end_is_an_end() -> None:
    closing = Event()
    closing.set()
    with listening(503) as endpoint, pytest.raises(OSError, match="answers 503"):
        Collector(endpoint.url, "", None).upload(pack([b"1"]), closing)
    with pytest.raises(OSError, match="does not answer"):
        Collector(endpoint.url, "", None).upload(pack([b"1"]), closing)


@pytest.mark.parametrize(
    "url", ["https://a.example", "https://a.example:8443/x", "http://127.0.0.1:1", "http://localhost"]
)
def test_addresses(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize("url", ["", "a.example", "ftp://a", "http://a.example", "https://a?b", "https://u:p@a"])
def test_what_is_no_safe_address(url: str) -> None:
    with pytest.raises(ValueError, match="write https"):
        check_url(url)


def test_authorities_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^ca: "):
        Collector("https://a.example", "", tmp_path / "none.pem")
