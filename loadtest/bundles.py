"""How long answers stop while a large bundle is put in force: `python -m loadtest.bundles [--users 100000]`.

One worker's event loop asks a policy without a pause, and fetches a bundle with that many users' roles again and again,
with other data, or with another policy as well. Told is the longest time between two answers, in milliseconds, beside
the one while nothing is fetched: on a busy machine the best of several says most.
"""

import argparse
import asyncio
import gc
import io
import json
import tarfile
import tempfile
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic, perf_counter
from typing import TypeAlias

from rich.console import Console
from rich.table import Table

from loadtest.corpus import check_request
from ztag_extauthz.authorization.bundle.settings import BundleSettings
from ztag_extauthz.authorization.rego import Rego, RegoSettings
from ztag_extauthz.cli.common import resources_for
from ztag_extauthz.envoy import decode
from ztag_extauthz.model import Context, Identity

POLICY = """package envoy.authz

default result := false

# {revision}
result if "reader" in data.users[input.identity.subject].roles
"""
TENANTS = 50
PATIENCE = 60.0
"""Seconds until a bundle has to be in force."""
Condition: TypeAlias = Callable[[], bool]


def bundle(users: int, revision: int, policy: int) -> bytes:
    """Return a bundle in which every user has two roles, a department and a few numbers."""
    data = {
        f"user-{number}": {
            "roles": ["reader", f"role-{(number + revision) % 100}"],
            "tenant": f"tenant-{number % TENANTS}",
            "limits": {"day": number % 1000, "month": number % 30_000, "share": 0.25},
        }
        for number in range(users)
    }
    files = {
        ".manifest": json.dumps({"revision": str(revision)}),
        "authz.rego": POLICY.format(revision=policy),
        "data.json": json.dumps({"users": data}),
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


def serve(pipe: Connection, users: int) -> None:
    """Serve the bundle that was asked for last, from a process of its own."""
    current = {"etag": "", "content": b""}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content, etag = current["content"], str(current["etag"])
            same = self.headers["if-none-match"] == etag
            self.send_response(304 if same else 200)
            self.send_header("etag", etag)
            self.send_header("content-length", "0" if same else str(len(content)))
            self.end_headers()
            if not same:
                self.wfile.write(bytes(content))  # type: ignore[arg-type]

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    pipe.send(server.server_port)
    with server:
        while True:
            server.timeout = 0.01
            server.handle_request()
            if pipe.poll():
                order = pipe.recv()
                if order is None:
                    return
                current.update(content=bundle(users, *order), etag=f'"{order[0]}"')
                pipe.send(len(current["content"]))


async def longest_pause(rego: Rego, context: Context, until: Condition) -> tuple[float, float]:
    """Ask until a condition holds; return the longest time between two answers and the whole, in seconds."""
    longest, begun = 0.0, perf_counter()
    last = begun
    while not until():
        await rego.authorize(context, monotonic() + 10)
        await asyncio.sleep(0)
        now = perf_counter()
        longest, last = max(longest, now - last), now
    return longest, last - begun


async def measure(pipe: Connection, port: int, reloads: int) -> list[tuple[str, list[float], float]]:
    settings = BundleSettings(url=f"http://127.0.0.1:{port}/authz.tar.gz", min_delay=0.05, max_delay=0.05)
    rego = RegoSettings(kind="rego", bundle=settings).build(resources_for(Path(tempfile.gettempdir())))
    context = Context(decode(check_request("token", "/orders")), Identity("user-7", "https://issuer.example", "jwt"))
    await rego.start()
    pipe.send((0, 0))
    pipe.recv()
    while not rego.policy.version.revision:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.01)
    gc.collect()
    gc.freeze()
    begun = perf_counter()
    rows = [("nothing", [(await longest_pause(rego, context, lambda: perf_counter() - begun > 2))[0]], 0.0)]
    number = 0
    for name, changes in (("other data", 0), ("other data and policy", 1)):
        pauses, whole = [], 0.0
        for _ in range(reloads):
            number += 1
            pipe.send((number, number * changes))
            await asyncio.to_thread(pipe.recv)
            pause, seconds = await longest_pause(rego, context, _has(rego, str(number)))
            after, _ = await longest_pause(rego, context, _for(0.5))
            pauses.append(max(pause, after))
            whole = max(whole, seconds)
        rows.append((name, pauses, whole))
    await rego.close()
    return rows


def _for(seconds: float) -> Condition:
    end = perf_counter() + seconds
    return lambda: perf_counter() > end


def _has(rego: Rego, revision: str) -> Condition:
    end = perf_counter() + PATIENCE
    return lambda: rego.policy.version.revision == revision or perf_counter() > end


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--reloads", type=int, default=5)
    arguments = parser.parse_args()
    ours, theirs = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=serve, args=(theirs, arguments.users), daemon=True)
    process.start()
    rows = asyncio.run(measure(ours, ours.recv(), arguments.reloads))
    ours.send(None)
    process.join()
    title = f"{arguments.users:,} users"
    table = Table("fetched", "longest pause ms: best", "median", "worst", "until in force s", title=title)
    for name, pauses, whole in rows:
        ordered = sorted(pauses)
        shown = (ordered[0], ordered[len(ordered) // 2], ordered[-1])
        table.add_row(name, *(f"{pause * 1e3:.1f}" for pause in shown), f"{whole:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
