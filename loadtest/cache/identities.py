"""Nobody gets an answer that was made for somebody else, nor one that is no longer true.

    python -m loadtest.cache.identities [--requests 100000] [--users 1000] [--engine opa]

Two workers (processes whose table is far too small) are asked random questions of random people, by pipelines with a
cache; the same pipelines without one are asked the same, and every answer is compared. Meanwhile the policy in force
changes again and again between two that say different things, people get and lose a role and are revoked, tokens end,
answers make room for others, and one worker is killed (SIGKILL) and another takes its place.

With `--engine opa` each worker has a real OPA beside it (`OPA=path`, or `opa` of the path) that answers both pipelines.
"""

import argparse
import asyncio
import multiprocessing
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

from msgspec.structs import replace

from loadtest.cache.parts import FOREVER
from loadtest.corpus import check_request
from loadtest.opa import find_opa
from tests.authorization.engines.opa_servers import real
from ztag_extauthz.authentication.interface import Authenticator
from ztag_extauthz.authorization.cache.settings import CacheSettings
from ztag_extauthz.authorization.engines.opa_settings import OpaSettings
from ztag_extauthz.authorization.rego import Rego, RegoSettings
from ztag_extauthz.component import Memory, Resources
from ztag_extauthz.envoy import decode
from ztag_extauthz.meter import CELLS, METRICS, SERIES, Meter
from ztag_extauthz.model import Deny, Identity, Reason, Request
from ztag_extauthz.pipeline import Pipeline
from ztag_extauthz.stores.shared import SharedMemory, shared_memory

POLICY = """package load
default result := {"allowed": false, "http_status": 403, "body": "REVISION"}
result := {"allowed": true, "headers": {"x-user": input.identity.subject, "x-revision": "REVISION"}} if {
	"reader" in input.identity.claims.roles
	input.attributes.request.http.method == "GET"
	input.parsed_path[0] == "documents"
}
result := {"allowed": true, "headers": {"x-level": sprintf("%v", [input.identity.claims.level])}} if {
	input.parsed_path[0] == "levels"
	input.identity.claims.level != null
}
result := {"allowed": true, "headers": {"x-a": input.attributes.request.http.headers["x-a"]}} if {
	input.parsed_path[0] == "echo"
}
"""
PATHS = ("/documents/1", "/documents/2?x=1", "/levels", "/echo", "/other")
LEVELS: Sequence[Any] = (1, 1.0, True, "1", None, [], {}, [1], [True])
RELOAD = 2500
"""Requests between two changes of the policy in force."""


class Known(Authenticator):
    """Takes everybody for who they are said to be."""

    kind = "known"

    def __init__(self) -> None:
        self.identity: Identity | None = None

    async def authenticate(self, request: Request, deadline: float) -> Identity | Deny | None:  # noqa: ARG002
        return self.identity


class Side:
    """One worker, with a cache or without."""

    def __init__(self, folder: Path, memory: Memory, cache: CacheSettings | None, opa: str | None = None) -> None:
        """Ask the OPA at a url; without one, the engine inside."""
        self.cells = [0.0] * CELLS
        self.revoked: set[str] = set()
        self._resources = Resources(folder, time.time, Meter(self.cells), memory)
        common = RegoSettings(kind="rego", policies=("r0.rego",), decision="load/result", cache=cache)
        asked = OpaSettings(url=opa, timeout=20) if opa else None
        self._settings = common.model_copy(update={"engine": "opa", "opa": asked} if asked else {})
        self._known = Known()
        self._rego: Rego | None = None

    async def put_in_force(self, revision: int) -> None:
        """Do as a reload does: build all anew, and let go of what was."""
        settings = self._settings.model_copy(update={"policies": (f"r{revision}.rego",)})
        before, self._rego = self._rego, settings.build(self._resources)
        await self._rego.start()
        self._pipeline = Pipeline([], [self._known], [self._rego], [], time.time, revoked=self._refuse)
        if before is not None:
            await before.close()

    async def close(self) -> None:
        if self._rego is not None:
            await self._rego.close()

    def _refuse(self, identity: Identity) -> Deny | None:
        return Deny(Reason.INVALID_CREDENTIALS) if identity.subject in self.revoked else None

    async def ask(self, request: Request, identity: Identity) -> Any:
        self._known.identity = identity
        return (await self._pipeline.decide(request, FOREVER)).verdict

    def counts(self) -> Counter[str]:
        results = METRICS["ztag_cache_lookups"].labels["result"]
        counts = Counter({name: int(self.cells[SERIES["ztag_cache_lookups", (name,)]]) for name in results})
        counts["evictions"] = int(self.cells[SERIES["ztag_cache_evictions", ("node",)]])
        return counts


def write_policies(folder: Path) -> None:
    for revision in range(2):
        (folder / f"r{revision}.rego").write_text(POLICY.replace("REVISION", f"r{revision}"))


def questions() -> list[Request]:
    found = []
    for path in PATHS:
        for method in ("GET", "POST"):
            request = decode(check_request("token", path, method))
            found += [replace(request, headers={**request.headers, "x-a": value}) for value in "12"]
    return found


def somebody(dice: Random, users: int, epoch: int) -> Identity:
    """Return somebody as they are at a time: the role comes and goes."""
    user = min(int(dice.paretovariate(0.4)), users) - 1
    claims = {"roles": ["reader" if (user + epoch) % 3 else "writer"], "level": LEVELS[user % len(LEVELS)]}
    ends = time.time() + dice.choice([0.02, 60.0, 3600.0])
    return Identity(f"user-{user}", "https://issuer.example", "jwt", claims, expires_at=ends)


async def compare(  # noqa: PLR0913, PLR0917
    folder: Path, memory: Memory, requests: int, users: int, seed: int, opa: str | None = None
) -> Counter[str]:
    """Ask both sides the same; return what happened. Raises `AssertionError` for the first difference."""
    dice, asked = Random(seed), questions()  # noqa: S311 - which, is no secret
    cached = Side(folder, memory, CacheSettings(entries=512, worker_bytes=200_000), opa)
    plain = Side(folder, memory, None, opa)
    for number in range(requests):
        if number % RELOAD == 0:
            for side in (cached, plain):
                await side.put_in_force(number // RELOAD % 2)
            cached.revoked = plain.revoked = {f"user-{dice.randrange(users)}" for _ in range(users // 20)}
        request, identity = dice.choice(asked), somebody(dice, users, number // 4000)
        found, expected = await cached.ask(request, identity), await plain.ask(request, identity)
        if found != expected:
            raise AssertionError(f"{identity} was told {found} instead of {expected}")
        if number % 200 == 0:
            await asyncio.sleep(0)  # what runs in the background has its turn
    for side in (cached, plain):
        await side.close()
    return cached.counts() + Counter(requests=requests)


def work(pipe: Connection, folder: Path, memory: SharedMemory, *asked: Any) -> None:
    """Be a worker; tell what happened, or what was wrong."""
    try:
        pipe.send(asyncio.run(compare(folder, memory, *asked)))
    except AssertionError as error:
        pipe.send(str(error))


def opa_for(number: int, folder: Path, running: ExitStack, binary: Path | None) -> str | None:
    """Return the url of a worker's own OPA; None without one."""
    if binary is None:
        return None
    beside = folder / f"opa-{number}"
    beside.mkdir()
    return running.enter_context(real(beside, binary))


def compare_in_two(requests: int, users: int, binary: Path | None) -> Counter[str]:
    """Have two workers ask so many each, and a third one that is killed; return what happened to the two."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name, shared_memory() as memory, ExitStack() as running:
        folder = Path(name)
        write_policies(folder)
        pipes, processes = [], []
        for seed in (1, 2, 3):  # the third is killed, and the first two have its part as well
            ours, theirs = context.Pipe()
            asked = (requests if seed < 3 else 10 * requests, users, seed, opa_for(seed, folder, running, binary))
            processes.append(context.Process(target=work, args=(theirs, folder, memory, *asked), daemon=True))
            processes[-1].start()
            pipes.append(ours)
        time.sleep(5)
        processes[2].kill()
        results = [pipe.recv() for pipe in pipes[:2]]
    wrong = [result for result in results if isinstance(result, str)]
    if wrong:
        raise SystemExit("\n".join(wrong))
    return sum(results, Counter())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--engine", choices=("embedded", "opa"), default="embedded")
    given = parser.parse_args()
    binary = find_opa() if given.engine == "opa" else None
    if binary is None and given.engine == "opa":
        raise SystemExit("no opa here: name one by OPA")
    total = compare_in_two(given.requests // 2, given.users, binary)
    asked = f"{total.pop('requests'):,} requests of {given.users:,} identities in two workers ({given.engine})"
    print(f"{asked}, and a third that was killed: no answer differs")
    print(", ".join(f"{name} {count:,}" for name, count in total.items()))


if __name__ == "__main__":
    main()
