"""Policies as people write them, with one or two small mistakes made in each: a `not` lost, an operator changed."""

# ruff: noqa: S311 (these dice need not be secret)

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

from loadtest.conformance.reads import mutated
from loadtest.conformance.reference import Question
from ztag_extauthz.rego.documents import loads

FOLDER: Final = Path(__file__).with_name("real_policies")
_CHANGES: Final = (
    (r"\bnot ", ""), (r"\n\t(?=[a-z])", "\n\tnot "), (" == ", " != "), (" != ", " == "), (" < ", " >= "),
    (" >= ", " < "), (" := ", " = "), (r"\bin\b", "=="), (r'"\*"', '"**"'), (r'"([a-z]+)"', r'"\1x"'),
    (r"(\d+)", r"1\1"), (r"\n\t[^\n{}]+\n", "\n"), (r"default [^\n]+\n", "\n"), (r"contains", "["), (" > ", " < "),
    (r"\binput\.", "input.x."), (r"some ([a-z]+) in", r"\1 :="), (r'\["/"\]', "[]"), (r"\bdata\b", "input"),
    (r"else := ", "else := false with input as "), (r"count\(", "sum("), (r"lower\(", "upper("),
)  # fmt: skip


def questions(count: int, seed: int) -> Iterator[Question]:
    random = Random(seed)
    originals = [_original(path) for path in sorted(FOLDER.glob("*.rego"))]
    yield from originals
    for _ in range(count):
        question = random.choice(originals)
        text = question.modules["t.rego"]
        for _ in range(random.randint(1, 2)):
            text = _changed(text, random)
        inputs = [*question.inputs, *(mutated(random, document) for document in question.inputs)]
        yield Question({"t.rego": text}, question.queries, inputs)


def _original(path: Path) -> Question:
    text = path.read_text()
    inputs: list[Any] = [loads(line) for line in re.findall(r"^# input: (.*)$", text, re.MULTILINE)]
    return Question({"t.rego": text}, re.findall(r"^# query: (.*)$", text, re.MULTILINE), inputs)


def _changed(text: str, random: Random) -> str:
    head, package, body = text.partition("\npackage ")
    pattern, replacement = random.choice(_CHANGES)
    places = list(re.finditer(pattern, body))
    if not places:
        return text
    place = random.choice(places)
    return head + package + body[: place.start()] + place.expand(replacement) + body[place.end() :]
