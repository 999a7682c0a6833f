"""A key server that is stopped, slow, answers garbage and rotates, while tokens with known keys keep coming."""

import asyncio
import tempfile
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from statistics import quantiles
from threading import Event, Lock
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.authentication.parts import Clock, CountingMeter, KeyServer, jwk, key_set, request, resources, token
from ztag_extauthz.authentication.jwt import Jwt, JwtSettings
from ztag_extauthz.model import Identity

SECONDS = 2.0
DOCUMENT = key_set(jwk("ES256"))
ROTATED = key_set(jwk("ES256"), jwk("ES256", "-next"))


class Keys:
    """Answers as it is told, and counts how many fetches are under way at the same time."""

    def __init__(self, server: KeyServer) -> None:
        self.document = DOCUMENT
        self.go = Event()
        self.go.set()
        self.fetches, self.at_once, self._now = 0, 0, 0
        self._lock = Lock()
        server.answers["/keys"] = self._answer

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        with self._lock:
            self.fetches += 1
            self._now += 1
            self.at_once = max(self.at_once, self._now)
        self.go.wait(1.0)
        body = self.document
        handler.send_response(200)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        with self._lock:
            self._now -= 1
        handler.wfile.write(body)


class Traffic:
    """Known tokens again and again, tokens of new users, and a flood of unknown key ids."""

    def __init__(self, jwt: Jwt) -> None:
        self.jwt = jwt
        self.tokens = [token("ES256", sub=f"user-{number}") for number in range(50)]
        self.unknown = [token("ES256", header={"kid": f"unknown-{number}"}) for number in range(50)]
        self.took: list[float] = []
        self.failed = 0
        self.refused = 0

    async def known(self, until: float) -> None:
        number = 0
        while time.monotonic() < until:
            text = self.tokens[number % len(self.tokens)]
            number += 1
            if number % 20 == 0:
                self.jwt.memory._young.clear()  # so that keys are needed again
            began = time.perf_counter()
            answer = await self.jwt.authenticate(request(f"Bearer {text}"), time.monotonic() + 0.2)
            self.took.append(time.perf_counter() - began)
            self.failed += not isinstance(answer, Identity)
            await asyncio.sleep(0.0005)

    async def flood(self, until: float) -> None:
        number = 0
        while time.monotonic() < until:
            batch = [self.unknown[(number + place) % 50] for place in range(20)]
            number += 20
            deadline = time.monotonic() + 0.2
            answers = (self.jwt.authenticate(request(f"Bearer {text}"), deadline) for text in batch)
            for answer in await asyncio.gather(*answers):
                self.refused += not isinstance(answer, Identity)
            await asyncio.sleep(0.005)


async def _phase(table: Table, name: str, keys: Keys, jwt: Jwt) -> None:
    keys.fetches = keys.at_once = 0
    traffic = Traffic(jwt)
    until = time.monotonic() + SECONDS
    await asyncio.gather(traffic.known(until), traffic.flood(until))
    p99 = quantiles(traffic.took, n=100)[98] * 1e6
    table.add_row(
        name,
        f"{len(traffic.took):,}",
        str(traffic.failed),
        f"{p99:,.0f}",
        f"{traffic.refused:,}",
        str(keys.fetches),
        str(keys.at_once),
    )


async def _main(console: Console) -> None:
    table = Table(
        "key server",
        "known keys",
        "failed",
        "p99 µs",
        "unknown kids refused",
        "fetches",
        "at most at once",
        title=f"Keys under load, {SECONDS:.0f} s each, one fetch in 0.2 s allowed",
    )
    with tempfile.TemporaryDirectory() as name, KeyServer().running() as server:
        keys = Keys(server)
        source = {"url": f"{server.url}/keys", "refresh": 0.5, "cool_down": 0.2, "timeout": 1.5}
        settings: dict[str, Any] = {"kind": "jwt", "issuer": "https://issuer.example", "audiences": ["mesh"]}
        settings |= {"algorithms": ["ES256"], "jwks": source}
        parts = resources(Path(name), RunningClock(), CountingMeter())
        jwt = JwtSettings.model_validate(settings).build(parts)
        await jwt.start()
        while not jwt.readiness()[0].ready:  # noqa: ASYNC110 - it is fetched in a thread
            await asyncio.sleep(0.01)
        await _phase(table, "well", keys, jwt)
        keys.go.clear()
        await _phase(table, "slow: 1 s", keys, jwt)
        keys.go.set()
        keys.document = b"<html>"
        await _phase(table, "garbage", keys, jwt)
        keys.document = ROTATED
        await _phase(table, "rotating", keys, jwt)
        server.stop()
        await _phase(table, "stopped", keys, jwt)
        await jwt.close()
    console.print(table)


class RunningClock(Clock):
    """The tests' day, on which time passes."""

    def __init__(self) -> None:
        super().__init__()
        self._began = time.monotonic()

    def __call__(self) -> float:
        return self.now + time.monotonic() - self._began


def show(console: Console) -> None:
    asyncio.run(_main(console))
