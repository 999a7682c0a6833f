"""The engine against a live OPA: random, adversarial and mutated policies, compared answer by answer.

    python -m loadtest.conformance.oracle [--policies 20000] [--seed 0] [--cache .cache/conformance]

A finding is made small and shown; `compare.py` says what counts as one. The same seed gives the same policies.
"""

import argparse
import sys
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Final

from loadtest.conformance import adversarial, mutants, reads
from loadtest.conformance.compare import Result, compare
from loadtest.conformance.generator import Policy, example
from loadtest.conformance.reference import Question, Reference, build
from loadtest.conformance.shrink import shrink
from ztag_extauthz.rego.documents import dumps

_AHEAD: Final = 8
_SHOWN: Final = 20


@dataclass
class Tally:
    policies: int = 0
    comparisons: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    findings: int = 0

    def line(self) -> str:
        kinds = ", ".join(f"{name} {count:,}" for name, count in self.kinds.most_common())
        return f"{self.policies:,} policies, {self.comparisons:,} answers compared ({kinds})"


Item = tuple[Policy | None, Question]


def _random(policies: int, seed: int) -> Iterator[Item]:
    for number in range(seed, seed + policies):
        yield example(number)


def _whole(questions: Iterator[Question]) -> Iterator[Item]:
    for question in questions:
        yield None, question


def check(name: str, items: Iterator[Item], binary: Path) -> Tally:
    """Ask about policies a few ahead, so that OPA and the engine work at the same time."""
    tally, pending, begun = Tally(), deque[Item](), perf_counter()
    with Reference(binary) as reference, Reference(binary) as second:
        for item in items:
            reference.send(item[1])
            pending.append(item)
            if len(pending) > _AHEAD:
                _settle(pending.popleft(), reference, second, tally)
                if tally.policies % 500 == 0:
                    print(f"\r{name}: {tally.line()}, {perf_counter() - begun:.0f} s", end="", file=sys.stderr)
        while pending:
            _settle(pending.popleft(), reference, second, tally)
    print(f"\r{name}: {tally.line()}, {perf_counter() - begun:.0f} s")
    return tally


def _settle(item: Item, reference: Reference, second: Reference, tally: Tally) -> None:
    policy, question = item
    answer = reference.receive()
    tally.policies += 1
    for result in compare(question, answer):
        tally.kinds[result.kind] += 1
        tally.comparisons += "error" not in answer
        if result.finding:
            tally.findings += 1
            if tally.findings <= _SHOWN:
                _show(policy, question, result, second)


def _show(policy: Policy | None, question: Question, result: Result, reference: Reference) -> None:
    if policy is not None:
        _, question = shrink(policy, question, result, reference)
        document = question.inputs[0]
    else:
        document = question.inputs[result.place] if question.inputs else None
    print(f"\n--- {result.kind} {result.query}: {result.detail}")
    print("".join(question.modules.values()))
    print(f"input: {dumps(document)}")


def main() -> int:
    parser = argparse.ArgumentParser(description="compare the engine with a live OPA")
    parser.add_argument("--policies", type=int, default=20_000)
    parser.add_argument("--mutants", type=int, default=2_000)
    parser.add_argument("--reads", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=Path(".cache/conformance"))
    options = parser.parse_args()
    binary = build(options.cache)
    tallies = [
        check("adversarial", _whole(adversarial.questions()), binary),
        check("mutated", _whole(mutants.questions(options.mutants, options.seed)), binary),
        check("random", _random(options.policies, options.seed), binary),
    ]
    unsound = reads.check(options.reads, options.seed)
    findings = sum(tally.findings for tally in tallies)
    print(f"{sum(tally.comparisons for tally in tallies):,} comparisons, {findings} findings, {unsound} unsound reads")
    return bool(findings or unsound)


if __name__ == "__main__":
    sys.exit(main())
