"""A policy that is evaluated in a process of its own: `python -m ztag_extauthz.authorization.shadow.process`.

One JSON line in, one JSON line out. The process ends when its input does, so it never outlives its parent.
"""

import json
import os
import select
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Lock
from time import monotonic, time
from typing import TYPE_CHECKING, Any, BinaryIO

from ztag_extauthz.authorization.engines.interface import PolicyEngine
from ztag_extauthz.component import Resources
from ztag_extauthz.errors import CheckError, DeadlineError, EvaluationError, UnavailableError
from ztag_extauthz.meter import Meter
from ztag_extauthz.rego.documents import dumps, loads
from ztag_extauthz.rego.values import UNDEFINED, Value

if TYPE_CHECKING:
    from ztag_extauthz.authorization.rego import RegoSettings
    from ztag_extauthz.rego.explain import Explanation
    from ztag_extauthz.rego.reads import Reads

SECONDS = 1.0
"""An evaluation ends after so long."""
START = 30.0
"""Seconds that the process has to load the policies, beyond the deadline of who asks first."""
NICE = 10


class Elsewhere(PolicyEngine):
    """Asks the process, which is started when it is first needed; for one thread, which may wait."""

    def __init__(self, policy: PolicyEngine, settings: "RegoSettings", folder: Path) -> None:
        """`policy` is the same one loaded here, which says what it reads."""
        self.version = policy.version
        self._policy = policy
        self._first_line = json.dumps({"settings": settings.model_dump(mode="json"), "folder": str(folder)}) + "\n"
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._starting = Lock()

    async def ask(self, document: Value, deadline: float) -> Value:
        """See `PolicyEngine.ask`; blocks."""
        process, patience = self._running()
        try:
            answer = self._exchange(process, dumps(document).encode() + b"\n", deadline + patience)
        except (OSError, ValueError):
            self._end(process)
            raise UnavailableError("the candidate's process has ended") from None
        if "error" in answer:
            raise EvaluationError(answer["error"])
        return answer.get("value", UNDEFINED)

    def _exchange(self, process: "subprocess.Popen[bytes]", line: bytes, deadline: float) -> dict[str, Any]:
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - both are pipes
        process.stdin.write(line)
        process.stdin.flush()
        if not select.select([process.stdout], [], [], max(0.0, deadline - monotonic()))[0]:
            self._end(process)
            raise DeadlineError("the candidate took too long")
        answer: dict[str, Any] = loads(process.stdout.readline().decode())
        return answer

    def _running(self) -> "tuple[subprocess.Popen[bytes], float]":
        with self._starting:
            if self._closed:
                raise UnavailableError("closed")
            if self._process is not None:
                return self._process, 0.0
            command = [sys.executable, "-m", "ztag_extauthz.authorization.shadow.process"]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=-1)  # noqa: S603
            assert self._process.stdin is not None  # noqa: S101 - it is a pipe
            self._process.stdin.write(self._first_line.encode())
            return self._process, START

    def _end(self, process: "subprocess.Popen[bytes]") -> None:
        """End the process; the next question starts another."""
        with self._starting:
            if self._process is process:
                self._process = None
        with suppress(ProcessLookupError):
            process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        process.wait()

    def end(self) -> None:
        """End the process; nobody is asked any more."""
        with self._starting:
            self._closed, process = True, self._process
        if process is not None:
            process.kill()  # who waits for its answer reads the end of the pipe

    def reap(self) -> None:
        """Wait for the process that `end` has ended."""
        if self._process is not None:
            self._end(self._process)

    def reads(self) -> "Reads":
        return self._policy.reads()

    def explain(self, document: Value, deadline: float) -> "Explanation":
        return self._policy.explain(document, deadline)


def serve(lines: BinaryIO, out: BinaryIO) -> None:
    """Load the policies that the first line names, and answer every line after it."""
    from ztag_extauthz.authorization.engines.embedded import Embedded  # noqa: PLC0415 - heavy
    from ztag_extauthz.authorization.rego import RegoSettings  # noqa: PLC0415 - heavy

    first = json.loads(lines.readline())
    settings = RegoSettings.model_validate(first["settings"])
    policy = settings.build(Resources(Path(first["folder"]), time, Meter())).policy
    assert isinstance(policy, Embedded)  # noqa: S101 - the parent's settings say so
    for line in lines:
        out.write(_answer(policy.evaluate, line) + b"\n")
        out.flush()


def _answer(evaluate: Any, line: bytes) -> bytes:
    try:
        value = evaluate(loads(line.decode()), monotonic() + SECONDS)
    except CheckError as error:
        return json.dumps({"error": str(error)}).encode()
    return dumps({} if value is UNDEFINED else {"value": value}).encode()


if __name__ == "__main__":
    os.nice(NICE)
    with suppress(KeyboardInterrupt, BrokenPipeError):
        serve(sys.stdin.buffer, sys.stdout.buffer)
