"""A stand-in for an OPA whose data changes: it answers with the version that a subject has now.

So an answer says when it was made, and one that was forgotten and is given again is recognised.
"""

import asyncio
import json
import multiprocessing
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ztag_extauthz.demo.processes import free_ports

USERS = 200


POLICY = """package envoy.authz

import rego.v1

default result := {"allowed": false}

result := {"allowed": true, "headers": {"x-version": data.versions[input.identity.subject]}} if {
	startswith(input.attributes.request.http.path, "/orders/")
}
"""
"""What ztag compiles to know what is read; `data.versions` is OPA's own."""


class Truth:
    """The versions, and how often OPA was asked; shared with its process."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.versions = multiprocessing.Array("q", USERS)
        self.asked = multiprocessing.Value("q", 0)
        self._digest = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speak as much of HTTP/1.1 as ztag's client needs."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = re.search(rb"(?i)content-length: *([0-9]+)", head)
                answer = self._answer(head, await reader.readexactly(int(size[1])) if size else b"")
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(answer), answer))
                await writer.drain()
        writer.close()

    def _answer(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(b"PUT /v1/data/ztag/state/"):
            self._digest = json.loads(body)["digest"]
        if not head.startswith(b"POST "):
            return b"{}"
        with self.asked.get_lock():
            self.asked.value += 1
        user = int(json.loads(body)["input"]["identity"]["subject"].removeprefix("user-"))
        decision = {"allowed": True, "headers": {"x-version": str(self.versions[user])}}
        return json.dumps({"result": {"digest": self._digest, "decision": decision}}).encode()


def _run(truth: Truth, port: int) -> None:
    async def main() -> None:
        server = await asyncio.start_server(truth.serve, "127.0.0.1", port)
        await server.serve_forever()

    asyncio.run(main())


@contextmanager
def changing_opa() -> Iterator[Truth]:
    """Run it in a process of its own."""
    (port,) = free_ports(1)
    truth = Truth(port)
    process = multiprocessing.get_context("fork").Process(target=_run, args=(truth, port), daemon=True)
    process.start()
    try:
        yield truth
    finally:
        process.kill()
        process.join()
