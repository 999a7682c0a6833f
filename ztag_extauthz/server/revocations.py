"""The listener for revocations: `POST /revocations` of operators, `POST /events` of transmitters (RFC 8935).

It stands in the supervisor, beside the admin listener, and writes into the journal that every worker of every replica
reads. What cannot be written is a 503, so that whoever asked asks again.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from hmac import compare_digest
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from ztag_extauthz.component import Resources
from ztag_extauthz.errors import CheckError
from ztag_extauthz.revocation.entries import Order, Revocation
from ztag_extauthz.revocation.receiver import Receiver, Refusal
from ztag_extauthz.revocation.settings import RevocationSettings, Secrets
from ztag_extauthz.server.core import RpcError
from ztag_extauthz.server.h2corn import certificate
from ztag_extauthz.server.listener import leaving
from ztag_extauthz.server.peers import Peers

LOG = logging.getLogger("ztag.revocation")
MAX_BYTES = 64 * 1024
"""Of a body; a security event token has about one kB."""
Event: TypeAlias = MutableMapping[str, Any]
Headers: TypeAlias = dict[bytes, bytes]


JSON = b"application/json"
_TYPES = {"/revocations": JSON, "/events": b"application/secevent+jwt"}
"""What each path takes."""


class Answer(Struct, frozen=True):
    """What is sent back."""

    status: int
    document: dict[str, Any] | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Desk:
    """Takes orders and events under one version of the settings."""

    def __init__(self, settings: RevocationSettings, secrets: Secrets, resources: Resources) -> None:
        """`secrets` are those of the settings. Raises `SettingsError` where a file cannot be used."""
        from ztag_extauthz.revocation.journal import journal  # noqa: PLC0415 - Redis

        self.settings, self.secrets = settings, secrets
        self._receiver: Receiver = settings.receiver(resources)
        self._journal = journal(settings, resources.folder)
        self._writing = asyncio.Lock()

    async def start(self) -> None:
        await self._receiver.start()

    async def close(self) -> None:
        await self._receiver.close()
        await self._journal.close()

    async def order(self, body: bytes, authorization: str) -> Answer:
        """Answer an operator. Raises `UnavailableError`."""
        scheme, _, shown = authorization.partition(" ")
        tokens = zip(self.settings.operators, self.secrets.operators, strict=True)
        operators = [one for one, token in tokens if compare_digest(token, shown.encode())]
        if not operators or scheme.lower() != "bearer":
            return Answer(401, {"error": "no operator's token"}, ((b"www-authenticate", b'Bearer realm="ztag"'),))
        try:
            order = msgspec.json.decode(body, type=Order)
            entry = order.entry(await self._journal.time(), self.settings.remember)
        except (msgspec.DecodeError, ValueError) as error:
            return Answer(400, {"error": str(error)})
        await self._write((entry,))
        LOG.info("revoked by operator %s: %s of %s", operators[0].name, entry.kind, entry.issuer)
        return Answer(200, {"revoked": msgspec.to_builtins(entry)})

    async def event(self, body: bytes, authorization: str) -> Answer:
        """Answer a transmitter. Raises `UnavailableError` or `DeadlineError`."""
        found = await self._receiver.receive(body.decode("latin-1"), authorization)
        if isinstance(found, Refusal):
            LOG.warning("security event refused: %s: %s", found.code, found.why)
            return Answer(400, {"err": found.code, "description": found.why}, ((b"content-language", b"en"),))
        await self._write(found)
        for entry in found:
            LOG.info("revoked by a security event: %s of %s", entry.kind, entry.issuer)
        return Answer(202)

    async def _write(self, entries: tuple[Revocation, ...]) -> None:
        if not entries:
            return
        async with self._writing:  # Redis waits for what was written on the same connection
            await self._journal.add(entries)
            await self._journal.secure()


class Revocations:
    """The ASGI application."""

    def __init__(self, resources: Resources, peers: Peers) -> None:
        """`peers` says whose certificates count."""
        self._resources = resources
        self._peers = peers
        self._desk: Desk | None = None

    async def serve(self, settings: RevocationSettings | None) -> None:
        """Take orders under these settings from now on; under None from nobody. Raises `SettingsError`."""
        desk = None
        if settings is not None:
            secrets = settings.secrets(self._resources.folder)
            if self._desk is not None and (self._desk.settings, self._desk.secrets) == (settings, secrets):
                return
            desk = Desk(settings, secrets, self._resources)
            await desk.start()
        old, self._desk = self._desk, desk
        if old is not None:
            await old.close()

    async def __call__(
        self, scope: Event, receive: Callable[[], Awaitable[Event]], send: Callable[[Event], Awaitable[None]]
    ) -> None:
        if scope["type"] != "http":
            return
        answer = await self._answer(scope, receive)
        body = b"" if answer.document is None else json.dumps(answer.document).encode()
        headers = [(b"content-type", JSON), (b"cache-control", b"no-store"), *answer.headers, *leaving(scope)]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Event, receive: Callable[[], Awaitable[Event]]) -> Answer:
        wanted = _TYPES.get(scope["path"])
        headers: Headers = dict(scope["headers"])
        if wanted is None or self._desk is None:
            return Answer(404)
        if not self._knows(scope):
            return Answer(403, {"error": "not a client in the settings"})
        if scope["method"] != "POST":
            return Answer(405, headers=((b"allow", b"POST"),))
        if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != wanted:
            return Answer(415, {"error": f"content-type is not {wanted.decode()}"})
        body = await _read(receive)
        authorization = headers.get(b"authorization", b"").decode("latin-1")
        if body is None:
            return Answer(413)
        source, take = ("operator", self._desk.order) if wanted == JSON else ("event", self._desk.event)
        try:
            answer = await take(body, authorization)
        except CheckError as error:
            LOG.warning("a revocation could not be written: %s", error)
            answer = Answer(503, {"error": "try again"}, ((b"retry-after", b"1"),))
        meter = self._resources.meter
        result = "ok" if answer.status < 300 else "error" if answer.status == 503 else "refused"
        meter.add(meter.series("ztag_revocation_requests", source, result))
        return answer

    def _knows(self, scope: Event) -> bool:
        try:
            if not self._peers.everybody:
                self._peers.admit(certificate(scope))
        except RpcError:
            return False
        return True


async def _read(receive: Callable[[], Awaitable[Event]]) -> bytes | None:
    """Return a body, None for one that is too long or was not sent to its end."""
    body: bytes = b""
    while True:
        event = await receive()
        body += event.get("body", b"")
        if event["type"] != "http.request" or len(body) > MAX_BYTES:
            return None
        if not event.get("more_body"):
            return body
