"""One target in a process of its own: what ends the process, or makes it wait for ever, is found from outside."""

import asyncio
import faulthandler
import signal
import tempfile
import time
import traceback
from collections.abc import Sequence
from hashlib import sha256
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from loadtest.fuzz.mutator import LARGEST, Mutator
from loadtest.fuzz.target import Target

SEEDS: Final = Path(__file__).parent / "seeds"
"""Findings by name, listed in docs/security.md; by digest, what `gather` chose and what nobody has looked at yet."""
PATIENCE: Final = 2.0
"""Seconds of CPU that one input may take; several times what the largest good input does under load."""
MOST: Final = 10
"""Findings of one target that are kept."""


class SlowError(BaseException):
    """An input takes too long; no `except Exception` keeps it."""


class Plan(Struct, frozen=True):
    """How long a target is fuzzed."""

    seed: int
    inputs: int
    seconds: float


class Report(Struct):
    """What came of a target."""

    inputs: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    """Seconds of CPU of the slowest input."""
    findings: dict[str, str] = {}
    """What happened, by the seed's file name."""


def work(build: Any, plan: Plan, current: Any, pipe: Connection) -> None:
    """Fuzz one target; `current` (shared bytes) holds the input that is being read, for whoever finds us dead."""
    faulthandler.enable()
    with tempfile.TemporaryDirectory() as folder:
        target: Target = build(Path(folder))
        pipe.send(asyncio.run(_Runner(build.__name__, target, current).run(plan)))


class _Runner:
    def __init__(self, name: str, target: Target, current: Any) -> None:
        self._name = name
        self._target = target
        self._current = memoryview(current).cast("B")
        self._report = Report()
        self._seen = -1
        self._kinds: set[str] = set()
        signal.signal(signal.SIGPROF, self._tick)

    async def run(self, plan: Plan) -> Report:
        """Run the seeds, the good inputs, and changed ones until the plan is at its end."""
        kept = seeds(self._name)
        signal.setitimer(signal.ITIMER_PROF, PATIENCE, PATIENCE)
        began = time.monotonic()
        for given in (*kept, *self._target.corpus):
            self._one(given)
        mutator = Mutator([*self._target.corpus, *kept], self._target.words, plan.seed)
        while self._report.inputs < plan.inputs and time.monotonic() - began < plan.seconds:
            for _ in range(min(100, plan.inputs - self._report.inputs)):
                self._one(mutator.next())
            await asyncio.sleep(0)
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        self._report.seconds = time.monotonic() - began
        return self._report

    def _one(self, given: bytes) -> None:
        size = min(len(given), LARGEST)
        self._current[:4] = size.to_bytes(4)
        self._current[4 : 4 + size] = given[:size]
        began = time.process_time()
        try:
            self._target.take(given)
        except self._target.expected:
            pass
        except (Exception, SlowError) as error:  # noqa: BLE001 - that is what is looked for
            self._note(given, error)
        self._report.slowest = max(self._report.slowest, time.process_time() - began)
        self._report.inputs += 1

    def _tick(self, *_: object) -> None:
        if self._seen == self._report.inputs:
            raise SlowError(f"more than {PATIENCE:.0f} s of CPU")
        self._seen = self._report.inputs

    def _note(self, given: bytes, error: BaseException) -> None:
        last = traceback.extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}: {error}"[:300]
        kind = (
            f"{type(error).__name__} {last.filename} {last.lineno} {error if 'Wrong' in type(error).__name__ else ''}"
        )
        if kind not in self._kinds and len(self._kinds) < MOST:
            self._kinds.add(kind)
            self._report.findings[keep(self._name, given)] = what


def seeds(name: str) -> Sequence[bytes]:
    """Return the inputs that every run of a target begins with."""
    return [path.read_bytes() for path in sorted((SEEDS / name).glob("*"))]


def keep(name: str, given: bytes) -> str:
    """Write an input to where the next run begins with it; return the file's name."""
    folder = SEEDS / name
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / sha256(given).hexdigest()[:16]
    file.write_bytes(given)
    return file.name


def read(current: Any) -> bytes:
    """Return the input that was read last."""
    held = memoryview(current).cast("B")
    return bytes(held[4 : 4 + int.from_bytes(held[:4])])


def targets() -> Sequence[Any]:
    """Return every target."""
    from loadtest.fuzz import policies, recurring, requests, stored, texts  # noqa: PLC0415 - each child imports its own, too

    return (*requests.TARGETS, *recurring.TARGETS, *texts.TARGETS, *policies.TARGETS, *stored.TARGETS)
