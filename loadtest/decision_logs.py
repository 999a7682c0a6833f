"""Compare decision logs with the real opa's: `python -m loadtest.decision_logs [--opa PATH]`.

Both upload to one collector here: opa answers `POST /v1/data/…` for each input, ztag decides on the CheckRequest that
the input was made of. The events have to be alike in path, input, erased and masked under the same mask rules, and the
results have to mean the same answer: ztag leaves out what asks for nothing. What ztag takes out by itself (credentials,
query, body) is not there in the requests.
"""

import argparse
import asyncio
import gzip
import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from rich.console import Console

from loadtest.opa import add_opa
from loadtest.rego_bench import POLICIES
from tests.living_page import ASKED, identity, message
from ztag_extauthz.authorization.opa_result import interpret
from ztag_extauthz.authorization.rego import RegoSettings
from ztag_extauthz.component import Resources
from ztag_extauthz.envoy import decode
from ztag_extauthz.meter import Meter
from ztag_extauthz.model import Context, Decision, Stage, Timings
from ztag_extauthz.rego.documents import dumps
from ztag_extauthz.reporting.decision_log import DecisionLogSettings

console = Console()
RULES = """package system.log

mask contains "/input/identity/claims/tenant"

mask contains "/input/not/there"

mask contains {"op": "upsert", "path": "/input/identity/subject", "value": "somebody"}

mask contains {"op": "remove", "path": "/input/parsed_path/0"} if input.input.parsed_path[0] == "orders"

mask contains {"op": "upsert", "path": "/result/headers/x-user", "value": "somebody"} if input.result.headers

drop if input.input.parsed_path[0] == "health"
"""
DIFFERENT = {
    "labels",
    "decision_id",
    "timestamp",
    "metrics",
    "req_id",
    "requested_by",
    "revision",
    "bundles",
    "version",
}
"""What no two servers say alike, or what only one of them knows."""


class Collector(ThreadingHTTPServer):
    """Keeps every event that was uploaded, by the path of the upload."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.events: dict[str, list[dict[str, Any]]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers["content-encoding"] != "gzip":
            raise ValueError("not gzipped")
        self.server.events.setdefault(self.path, []).extend(json.loads(gzip.decompress(body)))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


@contextmanager
def collecting() -> Iterator[Collector]:
    with Collector() as collector:
        Thread(target=collector.serve_forever, daemon=True).start()
        yield collector
        collector.shutdown()


def requests() -> Iterator[tuple[str, bytes]]:
    """Yield who asks, and a CheckRequest, without query, body and credential."""
    for name, method, path, _ in ASKED:
        yield name, message(method, path.partition("?")[0], None, bearer=False)
    yield "ann", message("GET", "/health", None, bearer=False)


def ours(folder: Path, url: str) -> list[str]:
    """Decide and log; return the inputs as JSON."""
    resources = Resources(folder, time.time, Meter())
    rego = RegoSettings(kind="rego", policies=(str(POLICIES / "envoy"),)).build(resources)
    settings = DecisionLogSettings(kind="decision_log", url=f"{url}/ztag", rules="rules.rego", seconds=0.1)
    log = settings.build(resources)
    log.attend([rego], frozenset())
    inputs = []

    async def decide() -> None:
        await log.start()
        for number, (name, bytes_) in enumerate(requests()):
            context = Context(decode(bytes_), identity(name))
            inputs.append(dumps(rego.document(context)))
            verdict = await rego.authorize(context, time.monotonic() + 10)
            who, timings = identity(name), Timings(1000, 2000, 3000)
            decision = Decision(f"{number}", time.time(), verdict, Stage.AUTHORIZATION, "rego", who, {}, timings)
            log.report(context.request, decision)
        await log.close()

    asyncio.run(decide())
    return inputs


@contextmanager
def opa_serving(opa: Path, folder: Path, url: str) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    reporting = {"min_delay_seconds": 1, "max_delay_seconds": 1}
    settings = {
        "services": {"collector": {"url": f"{url}/opa"}},
        "decision_logs": {"service": "collector", "reporting": reporting},
        "labels": {"app": "shop"},
    }
    (folder / "opa.json").write_text(json.dumps(settings))
    policies = [str(POLICIES / "envoy/authz.rego"), str(folder / "rules.rego")]
    command = [str(opa), "run", "--server", "--addr", address, "--config-file", str(folder / "opa.json"), *policies]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        _wait(f"http://{address}/health")
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait()


def _wait(url: str) -> None:
    for _ in range(200):
        try:
            urllib.request.urlopen(url).close()  # noqa: S310 - on loopback
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(url)


_JSON = {"content-type": "application/json"}


def ask_opa(url: str, document: str) -> None:
    body = b'{"input": ' + document.encode() + b"}"
    request = urllib.request.Request(f"{url}/v1/data/envoy/authz/result", body, _JSON)  # noqa: S310
    urllib.request.urlopen(request).close()  # noqa: S310


def differences(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> Iterator[str]:
    """Yield what is not alike, event by event."""
    if len(ours) != len(theirs):
        yield f"{len(ours)} events of ours, {len(theirs)} of opa's"
    for number, (our, their) in enumerate(zip(ours, theirs, strict=False)):
        for field in sorted((our.keys() | their.keys()) - DIFFERENT):
            mine, others = our.get(field), their.get(field)
            if field in {"erased", "masked"}:
                mine, others = sorted(mine or ()), sorted(others or ())
            if field == "result":
                mine, others = interpret(mine), interpret(others)
            if mine != others:
                yield f"event {number}: {field}: {mine!r}, opa: {others!r}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_opa(parser)
    opa = parser.parse_args().opa
    with tempfile.TemporaryDirectory() as name, collecting() as collector:
        folder = Path(name)
        (folder / "rules.rego").write_text(RULES)
        inputs = ours(folder, collector.url)
        with opa_serving(opa, folder, collector.url) as url:
            for document in inputs:
                ask_opa(url, document)
            for _ in range(200):
                if len(collector.events.get("/opa/logs", ())) >= len(inputs) - 1:
                    break
                time.sleep(0.1)
    mine, others = collector.events["/ztag/logs"], collector.events["/opa/logs"]
    others = [event for event in others if event.get("path") == "envoy/authz/result"]
    found = list(differences(mine, others))
    console.print(f"{len(mine)} events; fields of ours: {', '.join(sorted(mine[0]))}")
    console.print(f"fields of opa's: {', '.join(sorted(others[0]))}")
    for difference in found:
        console.print(difference, markup=False)
    console.print("[red]differs[/]" if found else "[green]alike[/]")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
