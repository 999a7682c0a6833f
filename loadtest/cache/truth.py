"""A stand-in for an OPA whose data changes: it answers with the version that a subject has now.

So an answer says when it was made, and one that was forgotten and is given again is recognised.
"""

import asyncio
import json
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ztag_extauthz.demo.processes import free_ports

USERS = 200


class Truth:
    """The versions, and how often OPA was asked; shared with its process."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.versions = multiprocessing.Array("q", USERS)
        self.asked = multiprocessing.Value("q", 0)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speak as much of HTTP/1.1 as ztag's client needs."""
        while head := await reader.readuntil(b"\r\n\r\n"):
            sizes = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
            body = await reader.readexactly(int(sizes[0])) if sizes else b""
            answer = json.dumps(self._answer(json.loads(body)) if body else {}).encode()
            headers = b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(answer)
            writer.write(b"HTTP/1.1 200 OK\r\n" + headers + answer)
            await writer.drain()

    def _answer(self, document: dict[str, Any]) -> dict[str, Any]:
        with self.asked.get_lock():
            self.asked.value += 1
        user = int(document["input"]["identity"]["subject"].removeprefix("user-"))
        return {"result": {"allowed": True, "headers": {"x-version": str(self.versions[user])}}}


def _run(truth: Truth, port: int) -> None:
    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await truth.serve(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", port)
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
