"""ztag's clock set forwards and backwards, and nobody else's: what expires and lives again, is limited and revoked."""

import asyncio
import mmap
import shutil
import struct
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from loadtest.chaos.case import HELD, Case
from loadtest.chaos.stores import SECRET, Redis
from loadtest.edge import TOLD, request
from loadtest.load.open_loop import Ask, Shot
from ztag_extauthz.cli.common import tell
from ztag_extauthz.demo.issuer import HOUR, Issuer
from ztag_extauthz.demo.processes import free_ports
from ztag_extauthz.demo.stack import Stack, policy_folder
from ztag_extauthz.revocation.entries import Order
from ztag_extauthz.revocation.journal import journal
from ztag_extauthz.revocation.settings import RevocationSettings

STEPS: Final = (2 * HOUR, 0.0, -2 * HOUR, 0.0)
"""Seconds by which the clock is wrong, one after the other."""
USERS: Final = 20
GREEDY: Final = 30
"""Of a hundred requests, those of one user, who may only have ten of them."""
REFUSED: Final = frozenset({401})
CERTAIN: Final = 1.0
"""Seconds after which everybody knows what was revoked."""


class SteppedClock:
    """Stands before the C library's own in the processes that get `environment`; made by the machine's compiler."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            raise FileNotFoundError("there is no C compiler (cc), which the step of one process's clock needs")
        library, step = folder / "clock.so", folder / "step"
        source = Path(__file__).with_name("clock.c")
        subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
        step.write_bytes(bytes(8))
        self.environment = {"LD_PRELOAD": str(library), "STEPPED_CLOCK": str(step)}
        with step.open("r+b") as file:
            self._cell = mmap.mmap(file.fileno(), 8)
        self._steps = [(0.0, 0.0)]

    def step(self, seconds: float) -> None:
        """Let the clock be wrong by so many seconds from now on."""
        self._steps.append((time.monotonic(), seconds))
        self._cell[:] = struct.pack("q", int(seconds))

    def during(self, begin: float, end: float) -> set[float]:
        """Return by how many seconds it was wrong at some time between these (`time.monotonic`)."""
        ends = [at for at, _ in self._steps[1:]] + [float("inf")]
        return {step for (at, step), until in zip(self._steps, ends, strict=True) if at <= end and until >= begin}


class Meant(Struct, frozen=True):
    """A request, and what is right about it: while its token is valid, and otherwise 401."""

    ask: Ask
    begins: float
    """Seconds from now in which the token is valid: from then, and until `ends`."""
    ends: float
    right: frozenset[int]
    revoked: bool = False

    def statuses(self, step: float) -> frozenset[int]:
        """Return the right statuses while the clock is wrong by so many seconds.

        A token that has begun may go on, where it is remembered: the clock was set back, and not the world.
        """
        if step >= self.ends:
            return REFUSED
        return self.right if step >= self.begins else self.right | REFUSED


class ClockStepped(Case):
    """The clock of ztag's processes two hours ahead, right, two hours behind, and right again."""

    def settings(self, parts: ExitStack, folder: Path) -> Mapping[str, Any]:
        self.clock = SteppedClock(folder)
        (port,) = free_ports(1)
        redis = Redis(folder, port, "redis")
        parts.callback(redis.stop)
        self.often = max(1, round(self.rate / 10))
        self.revocation = {"redis": {"url": f"redis://127.0.0.1:{port}"}, "secret": SECRET, "remember": HOUR}
        limit = {"name": "subject", "limit": f"{self.often}/second burst {self.often}", "by": ["subject"]}
        policy = {"kind": "rego", "policies": [str(policy_folder())], "decision": "envoy/authz/result"}
        return {"authorization": [{"kind": "quota", "limits": [limit]}, policy], "revocation": self.revocation}

    def environment(self) -> Mapping[str, str]:
        return self.clock.environment

    def asks(self, issuer: Issuer) -> Sequence[Ask]:
        self.meant = meant(issuer)
        return [one.ask for one in self.meant]

    def fault(self, stack: Stack) -> None:
        order = Order(issuer=stack.issuer.url, subject="revoked")
        kept = journal(RevocationSettings.model_validate(self.revocation), stack.folder)
        asyncio.run(tell(kept, lambda now: order.entry(now, HOUR)))
        self.revoked_at = time.monotonic() + CERTAIN
        time.sleep(CERTAIN)
        for step in STEPS:
            self.clock.step(step)
            time.sleep(HELD)

    def judged(self, shots: Sequence[Shot]) -> Sequence[Shot]:
        self._look_at_the_limit(shots)
        return [replace(shot, wrong=self._is_wrong(shot, self.meant[shot.ask])) for shot in shots]

    def _is_wrong(self, shot: Shot, one: Meant) -> bool:
        if shot.status == 0 or shot.status >= 500:
            return False
        right = frozenset[int]().union(*map(one.statuses, self.clock.during(shot.due, shot.answered)))
        if one.revoked:
            right = REFUSED if shot.due > self.revoked_at else right | REFUSED
        return shot.status not in right or (shot.status == 200 and shot.wrong)

    def _look_at_the_limit(self, shots: Sequence[Shot]) -> None:
        """Expect a burst more for each step forwards, one request more for each backwards, and never a pause."""
        mine = [shot for shot in shots if 429 in self.meant[shot.ask].right]
        seconds = max(shot.answered for shot in mine) - min(shot.due for shot in mine)
        allowed = sum(shot.status == 200 for shot in mine)
        most = self.often * (seconds + 1 + 2) + 2
        what = f"limit of {self.often}/s: {allowed} of {len(mine)} allowed, {most:.0f} at most"
        self.remarks.append(what)
        if not self.often * seconds / 2 <= allowed <= most:
            self.misses.append(what)


def meant(issuer: Issuer) -> Sequence[Meant]:
    """Return a hundred requests; those of one user, but for the greedy one, are so far apart that no limit is met."""
    usual, expired, lasting = (0, 1), (-3, -1), (-3, 3)
    made = [_meant(issuer, f"usual-{number}", usual) for number in range(USERS)]
    made += [_meant(issuer, f"expired-{number}", expired) for number in range(USERS)]
    made += [_meant(issuer, f"lasting-{number}", lasting) for number in range(USERS)]
    made += [_meant(issuer, f"other-{number}", lasting, "/admin") for number in range(6)]
    made += [replace(_meant(issuer, "revoked", usual), revoked=True) for _ in range(4)]
    made += [replace(_meant(issuer, "greedy", lasting), right=frozenset({200, 429})) for _ in range(GREEDY)]
    Random(1).shuffle(made)  # noqa: S311 - the same load each time
    return made


def _meant(issuer: Issuer, user: str, hours: tuple[int, int], path: str = "/orders/1") -> Meant:
    begins, ends = (hour * HOUR for hour in hours)
    token = issuer.token(user, iat=int(time.time() + begins), exp=int(time.time() + ends))
    status, proof = (403, b"") if path == "/admin" else (200, f"{TOLD}: {user}\r\n".encode())
    return Meant(Ask(request(path, token), status, proof), begins, ends, frozenset({status}))


CASES = (ClockStepped,)
