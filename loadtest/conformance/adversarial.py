"""Policies written by hand to go wrong: each file is a theme, its first lines the inputs, each policy asks for `p`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from loadtest.conformance.reference import Question
from ztag_extauthz.rego.documents import loads

FOLDER: Final = Path(__file__).with_name("adversarial_policies")
_SEPARATOR: Final = "# ---\n"


def questions() -> Iterator[Question]:
    for path in sorted(FOLDER.glob("*.rego.txt")):
        head, *policies = path.read_text().split(_SEPARATOR)
        inputs = [loads(line.removeprefix("# input: ")) for line in head.splitlines() if line.startswith("# input: ")]
        for strict in (False, True):
            for text in policies:
                yield _question(text, inputs, strict=strict)


def _question(text: str, inputs: list[Any], *, strict: bool) -> Question:
    return Question({"t.rego": f"package t\n\n{text}"}, ["data.t.p"], inputs, {"blocked": ["eve"], "n": 1}, strict)
