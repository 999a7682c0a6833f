"""One request, exactly as it is written: no header of its own, no path made nicer."""

import http.client
import json
from typing import Any

from msgspec import Struct


class Ask(Struct, frozen=True, kw_only=True):
    """A request to Envoy."""

    method: str = "GET"
    path: str = "/"
    headers: tuple[tuple[str, str | bytes], ...] = ()
    body: bytes = b""
    host: str = "shop.example"


class Reply(Struct, frozen=True):
    """What came back."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """Return a header's value, or ""."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    @property
    def seen(self) -> dict[str, Any]:
        """What the upstream received; {} where the request did not get there."""
        document: dict[str, Any] = json.loads(self.body) if self.status == 200 and self.body.startswith(b"{") else {}
        return document

    def seen_header(self, name: str) -> list[str]:
        """Return the values of a header that the upstream received."""
        return [value for key, value in self.seen.get("headers", []) if key == name]

    @property
    def problem(self) -> dict[str, Any]:
        """Return ztag's problem details; {} where the answer has none."""
        is_problem = self.header("content-type").startswith("application/problem+json")
        document: dict[str, Any] = json.loads(self.body) if is_problem else {}
        return document


def send(edge: tuple[str, int], ask: Ask, timeout: float = 10.0) -> Reply:
    """Send a request over a connection of its own. Raises `OSError`."""
    connection = http.client.HTTPConnection(*edge, timeout=timeout)
    try:
        return send_over(connection, ask)
    finally:
        connection.close()


def send_over(connection: http.client.HTTPConnection, ask: Ask) -> Reply:
    """Send a request over a connection that stays. Raises `OSError`."""
    connection.putrequest(ask.method, ask.path, skip_host=True, skip_accept_encoding=True)
    connection.putheader("host", ask.host)
    for name, value in ask.headers:
        connection.putheader(name, value)
    if ask.body:
        connection.putheader("content-length", str(len(ask.body)))
    connection.endheaders(ask.body or None)
    answer = connection.getresponse()
    return Reply(answer.status, tuple(answer.getheaders()), answer.read())
