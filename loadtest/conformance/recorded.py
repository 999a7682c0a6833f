"""The adversarial policies with OPA's answers, kept for tests that have no OPA.

python -m loadtest.conformance.recorded [--cache .cache/conformance]
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from loadtest.conformance import adversarial
from loadtest.conformance.reference import Question, Reference, build
from ztag_extauthz.rego.documents import dumps, loads

FILE: Final = Path("tests/rego/recorded/adversarial.jsonl")


def read(path: Path) -> Iterator[tuple[Question, dict[str, Any]]]:
    for line in path.read_text().splitlines():
        asked, answer = loads(line)
        yield Question(**asked), answer


def main() -> int:
    parser = argparse.ArgumentParser(description="record what OPA answers to the adversarial policies")
    parser.add_argument("--cache", type=Path, default=Path(".cache/conformance"))
    options = parser.parse_args()
    FILE.parent.mkdir(parents=True, exist_ok=True)
    with Reference(build(options.cache)) as reference:
        rows = [dumps([loads(question.line()), reference.ask(question)]) for question in adversarial.questions()]
    FILE.write_text("".join(f"{row}\n" for row in rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
