"""A policy that changes a hundred times while requests are answered by a real server.

    python -m loadtest.cache.reloads [--reloads 100] [--askers 4]

Each answer carries the revision twice, from two rules: where they differ, revisions were mixed. Askers go on until the
last reload is in force; an error, a denial, or a revision that is older than one they have seen counts as failed.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from itertools import cycle
from pathlib import Path

import grpc
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse

from loadtest.corpus import check_request
from ztag_extauthz.server.service import CHECK

CONFIG = """listen: {grpc: 127.0.0.1:0, admin: 127.0.0.1:0}
authentication: [{kind: anonymous}]
authorization: [{kind: rego, policies: [policy.rego], decision: load/result}]
"""
POLICY = """package load
one := "REVISION" if input.attributes.request.http.method == "GET"
two := "REVISION" if input.parsed_path[0] == "documents"
result := {"allowed": true, "headers": {"x-one": one, "x-two": two}}
"""


def anonymous(path: int) -> bytes:
    request = CheckRequest.FromString(check_request("", f"/documents/{path}"))
    del request.attributes.request.http.headers["authorization"]
    return bytes(request.SerializeToString())


class Askers:
    """Threads that ask until they are told to end."""

    def __init__(self, address: str, number: int) -> None:
        self.answered, self.latest = 0, -1
        self.wrong: list[str] = []
        self._address = address
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(number)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        with grpc.insecure_channel(self._address) as channel:
            check: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(CHECK)
            seen = -1
            for message in cycle([anonymous(path) for path in range(50)]):
                if self._ended.is_set():
                    return
                try:
                    response = CheckResponse.FromString(check(message, timeout=5))
                except grpc.RpcError as error:
                    self.wrong.append(f"failed: {error.code()}")
                    continue
                headers = {option.header.key: option.header.value for option in response.ok_response.headers}
                found = [int(headers.get(name, -1)) for name in ("x-one", "x-two")]
                if found[0] != found[1] or found[0] < seen:
                    self.wrong.append(f"mixed: {found} after {seen}")
                seen = self.latest = found[0]
                self.answered += 1

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()


def write(folder: Path, revision: int) -> None:
    (folder / "new").write_text(POLICY.replace("REVISION", str(revision)))
    (folder / "new").rename(folder / "policy.rego")


def memory(admin: str) -> int:
    """Return the resident bytes of the worker."""
    with urllib.request.urlopen(f"http://{admin}/metrics", timeout=5) as answer:
        found = re.search(r'ztag_worker_resident_memory_bytes\{worker="0"\} (\S+)', answer.read().decode())
    return int(float(found[1])) if found else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reloads", type=int, default=100)
    parser.add_argument("--askers", type=int, default=4)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "ztag.yaml").write_text(CONFIG)
        write(folder, 0)
        command = [sys.executable, "-m", "ztag_extauthz", "serve", "--config", str(folder / "ztag.yaml")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
            line = server.stdout.readline() if server.stdout else ""
            found = re.fullmatch(r"ready grpc=(\S+) admin=(\S+)", line.strip())
            if found is None:
                raise SystemExit(f"the server says {line!r}")
            askers, sizes = Askers(found[1], given.askers), []
            for revision in range(1, given.reloads + 1):
                write(folder, revision)
                os.kill(server.pid, signal.SIGHUP)
                while askers.latest < revision:
                    time.sleep(0.005)
                sizes.append(memory(found[2]))
            askers.end()
            server.send_signal(signal.SIGTERM)
    print(
        f"{given.reloads} reloads, {askers.answered:,} answers, {len(askers.wrong)} failed or mixed {askers.wrong[:3]}"
    )
    print("resident MB of the worker after every tenth:", *(f"{size / 1e6:.1f}" for size in sizes[9::10]))


if __name__ == "__main__":
    main()
