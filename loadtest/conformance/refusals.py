"""What OPA refuses to load, and what we do: policies with a word exchanged, left out or said twice.

    python -m loadtest.conformance.refusals [--policies 5000] [--seed 0] [--cache .cache/conformance]

A policy that only one of the two loads is counted by the other's reason; the first ones of each reason are shown.
Where both load one, the answers are compared, too.
"""

# ruff: noqa: S311 (these dice need not be secret)

import argparse
import re
import sys
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, Final

from loadtest.conformance import adversarial, mutants
from loadtest.conformance.compare import Result, compare
from loadtest.conformance.generator import example
from loadtest.conformance.reference import Question, Reference, build

_AHEAD: Final = 8
_SHOWN: Final = 2
_WORD: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"|`[^`]*`|[A-Za-z_]\w*(?:\.\w+)*|\d+(?:\.\d+)?|[:=!<>]=|[^\s\w]')
_WORDS: Final = (
    "x", "y", "_", "p", "q", "input", "data", "input.x", "data.t", "1", '"a"', "true", "null", "[]", "{}", "set()",
    '{"a": 1}', "[x]", "{1}", "not", "some", "every", "in", "with", "as", "if", "else", "contains", "default", "import",
    ":=", "=", "==", "!=", "<", "+", "|", "&", "(", ")", "[", "]", "{", "}", ",", ";", ".", "\n", "count", "walk",
    "print", "rego.metadata.rule()", "some x", "some x in", "data.t.p", '$"{x}"', "f(x)", "object.get", "startswith",
)  # fmt: skip


def questions(count: int, seed: int) -> Iterator[Question]:
    random = Random(seed)
    originals = [question for question in adversarial.questions() if not question.strict]
    originals += mutants.questions(0, seed)
    for _ in range(count):
        question = random.choice(originals) if random.random() < 0.7 else example(random.randrange(1 << 30))[1]
        text = question.modules["t.rego"]
        for _ in range(random.choice((1, 1, 2))):
            text = changed(text, random)
        yield replace(question, modules={"t.rego": text}, inputs=question.inputs[:2])


def changed(text: str, random: Random) -> str:
    """Change one word of a policy, behind its package."""
    start = text.index("package ") + len("package t")
    places = list(_WORD.finditer(text, start))
    if not places:
        return text
    place = random.choice(places)
    # Mostly a word of the same kind: others seldom make a policy that can be read at all.
    alike = [word[0] for word in places if _kind(word[0]) == _kind(place[0])]
    word = random.choice(("", f"{place[0]} {place[0]}", *random.choices(alike, k=8), *random.choices(_WORDS, k=2)))
    return text[: place.start()] + word + text[place.end() :]


def _kind(word: str) -> str:
    return "name" if word[0].isalpha() else "value" if word[0] in '"`0123456789' else word


def reason(result: Result) -> str:
    """Give why one of the two refuses, without what is particular to the policy."""
    found = re.search(r"rego_\w+: [^\n]*", result.detail)
    text = found[0] if found else result.detail
    return re.sub(r"\bdata\.t\.\S+|\"[^\"]*\"|\b[a-z]\w*\d+\b|\d+", "…", text)


class Tally:
    """Counts, and shows the first of each reason."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.reasons: Counter[tuple[str, str]] = Counter()
        self.wrong = 0

    def add(self, question: Question, answer: dict[str, Any]) -> None:
        for result in compare(question, answer):
            kind = "both refuse" if result.kind == "equal" and "error" in answer else result.kind
            self.kinds[kind] += 1
            self.wrong += result.finding
            if result.kind in ("refused", "accepted", "untyped", "wrong", "lax"):
                own = (result.kind, reason(result) if not result.finding else result.query)
                self.reasons[own] += 1
                if self.reasons[own] <= _SHOWN:
                    print(f"\n--- {result.kind}: {result.detail}\n{question.modules['t.rego']}\n{question.inputs}")

    def show(self) -> None:
        print("\n" + ", ".join(f"{kind} {count:,}" for kind, count in self.kinds.most_common()))
        for (kind, text), count in self.reasons.most_common():
            print(f"{count:6,} {kind}: {text}")


def main() -> int:
    parser = argparse.ArgumentParser(description="compare what is refused with a live OPA")
    parser.add_argument("--policies", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=Path(".cache/conformance"))
    options = parser.parse_args()
    tally, pending = Tally(), deque[Question]()
    with Reference(build(options.cache)) as reference:
        for question in questions(options.policies, options.seed):
            reference.send(question)
            pending.append(question)
            if len(pending) > _AHEAD:
                tally.add(pending.popleft(), reference.receive())
        while pending:
            tally.add(pending.popleft(), reference.receive())
    tally.show()
    return bool(tally.wrong)


if __name__ == "__main__":
    sys.exit(main())
