"""The admin listener, plain HTTP: `/livez`, `/readyz`, `/metrics`, `/version`, `/.well-known/jwks.json`."""

import json
import platform
from collections.abc import Awaitable, Callable, MutableMapping, MutableSequence, Sequence
from typing import Any, TypeAlias

from h2corn import Server

from ztag_extauthz import __version__
from ztag_extauthz.errors import SettingsError
from ztag_extauthz.server.crew import Member
from ztag_extauthz.server.listener import http_config, leaving
from ztag_extauthz.server.sockets import Bound

Event: TypeAlias = MutableMapping[str, Any]
Answer: TypeAlias = tuple[int, str, bytes]
"""Status, content type, body."""

_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"
_CONNECTIONS = 4096
_SILENCE = 2.0


class Admin:
    """The ASGI application."""

    def __init__(
        self,
        members: Sequence[Member],
        own_cells: MutableSequence[float],
        engine: str,
        key_set: Callable[[], bytes | None] = lambda: None,
        refused: Callable[[], str] = str,
    ) -> None:
        """Take what is asked when somebody asks.

        `key_set` returns the public keys of assertions, None where there are none; `refused` what is wrong with a
        configuration that was not put in force.
        """
        self.draining = False
        version = {"name": "ztag", "version": __version__, "engine": engine, "python": platform.python_version()}
        self._members = members
        self._own_cells = own_cells
        self._key_set = key_set
        self._refused = refused
        self._routes: dict[str, Callable[[str], Answer]] = {
            "/livez": lambda _: (200, _TEXT, b"ok\n"),
            "/readyz": lambda _: self._ready(),
            "/metrics": self._metrics,
            "/.well-known/jwks.json": lambda _: self._keys(),
            "/version": lambda _: (200, _JSON, _document(version)),
        }

    async def __call__(
        self, scope: Event, _receive: Callable[[], Awaitable[Event]], send: Callable[[Event], Awaitable[None]]
    ) -> None:
        if scope["type"] != "http":
            return
        status, content_type, body = self._answer(scope)
        headers = [(b"content-type", content_type.encode()), (b"cache-control", b"no-store"), *leaving(scope)]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, scope: Event) -> Answer:
        route = self._routes.get(scope["path"])
        if route is None:
            return 404, _TEXT, f"{' '.join(self._routes)}\n".encode()
        if scope["method"] not in ("GET", "HEAD"):
            return 405, _TEXT, b"GET or HEAD\n"
        return route(dict(scope["headers"]).get(b"accept", b"").decode("latin-1"))

    def _ready(self) -> Answer:
        ready = not self.draining and all(member.ready for member in self._members)
        document = {
            "ready": ready,
            "draining": self.draining,
            "refused": self._refused(),
            "workers": [_state(member) for member in self._members],
        }
        return (200 if ready else 503), _JSON, _document(document)

    def _keys(self) -> Answer:
        try:
            document = self._key_set()
        except SettingsError as error:
            return 503, _TEXT, f"{error}\n".encode()
        return (404, _TEXT, b"no response.assertion\n") if document is None else (200, _JSON, document)

    def _metrics(self, accept: str) -> Answer:
        from ztag_extauthz.server.exposition import render  # noqa: PLC0415 - not before the first scrape

        body, content_type = render(self._members, self._own_cells, accept)
        return 200, content_type, body


def server(admin: Admin, bound: Bound) -> Server:
    """Return the HTTP server on a listening socket."""
    # Probes must find a place while somebody holds connections: many, and none for long.
    return Server(admin, http_config(bound.socket, connections=_CONNECTIONS, silence=_SILENCE, max_bytes=1024))


def _state(member: Member) -> dict[str, Any]:
    """Return what an operator has to know of a worker."""
    return {
        "worker": member.number,
        "address": member.place.address,
        "accepting": member.accepting,
        "ready": member.ready,
        "mistakes": member.mistakes,
        "components": [
            {"component": entry.component, "ready": entry.ready, "detail": entry.detail} for entry in member.components
        ],
    }


def _document(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=2).encode() + b"\n"
