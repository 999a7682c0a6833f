"""Policies written by hand to go wrong: each file is a theme, its first lines the inputs, and data if need be."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from loadtest.conformance.reference import Question
from ztag_extauthz.rego.documents import loads

FOLDER: Final = Path(__file__).with_name("adversarial_policies")
_DATA: Final = {"blocked": ["eve"], "n": 1}
_SEPARATOR: Final = "# ---\n"


def questions() -> Iterator[Question]:
    for path in sorted(FOLDER.glob("*.rego.txt")):
        head, *policies = path.read_text().split(_SEPARATOR)
        inputs = list(_documents(head, "# input: "))
        data = next(_documents(head, "# data: "), _DATA)
        for strict in (False, True):
            for text in policies:
                yield Question({"t.rego": f"package t\n\n{text}"}, ["data.t.p"], inputs, data, strict)


def _documents(head: str, sign: str) -> Iterator[Any]:
    return (loads(line.removeprefix(sign)) for line in head.splitlines() if line.startswith(sign))
