"""The live OPA: a Go program that answers line by line (`driver/main.go`)."""

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import IO, Any, Final, Self

from ztag_extauthz.rego.documents import dumps, loads

_PATIENCE: Final = 120.0
DRIVER: Final = Path(__file__).with_name("driver")


@dataclass(frozen=True, slots=True)
class Question:
    """A policy, what is asked of it, and the inputs that it is asked for."""

    modules: dict[str, str]
    queries: list[str]  # paths of rules: `data.t.allow`
    inputs: list[Any]
    data: dict[str, Any] = field(default_factory=dict)
    strict: bool = False

    def line(self) -> str:
        return dumps(
            {
                "modules": self.modules,
                "queries": self.queries,
                "inputs": self.inputs,
                "data": self.data,
                "strict": self.strict,
            }
        )


class Reference:
    """A running OPA; questions may be asked ahead, answers come in their order."""

    def __init__(self, binary: Path) -> None:
        self._binary = binary

    def __enter__(self) -> Self:
        self._process = subprocess.Popen([self._binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._answers: Queue[bytes] = Queue()
        # Read apart from writing, or both sides could wait for a full pipe to be emptied.
        Thread(target=self._read, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        pipe: IO[bytes] = self._process.stdout  # type: ignore[assignment]
        for line in pipe:
            self._answers.put(line)
        self._answers.put(b"")

    def ask(self, question: Question) -> dict[str, Any]:
        self.send(question)
        return self.receive()

    def send(self, question: Question) -> None:
        pipe: IO[bytes] = self._process.stdin  # type: ignore[assignment]
        pipe.write(question.line().encode() + b"\n")
        pipe.flush()

    def receive(self) -> dict[str, Any]:
        line = self._answers.get(timeout=_PATIENCE)
        if not line:
            raise RuntimeError("OPA ended")
        return loads(line)  # type: ignore[no-any-return]


def build(cache: Path) -> Path:
    """Build the reference once."""
    binary = cache / "opa-driver"
    sources = [DRIVER / "main.go", DRIVER / "go.mod"]
    if not binary.exists() or binary.stat().st_mtime < max(source.stat().st_mtime for source in sources):
        cache.mkdir(parents=True, exist_ok=True)
        subprocess.run(["go", "build", "-o", str(binary.resolve()), "."], cwd=DRIVER, check=True)  # noqa: S607
    return binary


def pretty(question: Question) -> str:
    return json.dumps(json.loads(question.line()), indent=1)
