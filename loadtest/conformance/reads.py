"""What the dependency analysis says is not read must not matter: inputs changed elsewhere, the answers compared."""

# ruff: noqa: S311 (these dice need not be secret)

import sys
from collections.abc import Iterator
from random import Random
from typing import Any, Final

from loadtest.conformance.generator import example
from loadtest.conformance.inputs import FIELDS, random_value
from ztag_extauthz.rego.documents import dumps
from ztag_extauthz.rego.engine import Policy, compile_policy
from ztag_extauthz.rego.errors import EvaluationError, PolicyError
from ztag_extauthz.rego.values import UNDEFINED

_MUTANTS: Final = 5


def check(wanted: int, seed: int) -> int:
    """Compare `wanted` pairs of inputs with one key; give the number of those with two answers."""
    compared = unsound = changed = moved = number = 0
    while compared < wanted:
        number += 1
        for kind, detail in _pairs(seed + number):
            compared += kind in ("same", "unsound")
            unsound += kind == "unsound"
            changed += kind == "precise"
            moved += kind in ("precise", "coarse")
            if kind == "unsound":
                print(f"unsound: {detail}")
        if number % 500 == 0:
            print(f"\rreads: {compared:,} of {wanted:,}", end="", file=sys.stderr)
    precision = changed / moved if moved else 1.0
    print(f"\rreads: {compared:,} mutants with an equal key, {unsound} unsound; "
          f"{precision:.0%} of {moved:,} other keys came with another answer")  # fmt: skip
    return unsound


def _pairs(seed: int) -> Iterator[tuple[str, str]]:
    random = Random(seed)
    _, question = example(seed)
    points = [query.removeprefix("data.").replace(".", "/") for query in question.queries]
    try:
        policy = compile_policy(question.modules, question.data, entry_points=points)
    except PolicyError:
        return
    for point in points:
        reads = policy.reads(point)
        for document in question.inputs[:2]:
            before, key = _answer(policy, point, document), reads.key(document)
            for _ in range(_MUTANTS):
                other = mutated(random, document)
                same_answer = _answer(policy, point, other) == before
                if reads.key(other) == key:
                    detail = f"seed {seed} {point} {dumps(document)} {dumps(other)}"
                    yield ("same" if same_answer else "unsound"), detail
                else:
                    yield ("coarse" if same_answer else "precise"), ""


def mutated(random: Random, document: Any) -> Any:
    """Change a document at one place."""
    if document.__class__ is dict and document and random.random() < 0.9:
        name = random.choice(list(document))
        if random.random() < 0.2:
            return {form: value for form, value in document.items() if form != name}
        return {**document, name: mutated(random, document[name])}
    if document.__class__ is list and document and random.random() < 0.7:
        place = random.randrange(len(document))
        return [*document[:place], mutated(random, document[place]), *document[place + 1 :]]
    if document.__class__ is dict and random.random() < 0.5:
        name = random.choice(list(FIELDS))
        return {**document, name: random_value(random, FIELDS[name])}
    return random_value(random, "any")


def _answer(policy: Policy, point: str, document: Any) -> str:
    try:
        value = policy.decision(point).evaluate(document)
    except EvaluationError as error:
        return f"error {error.code}"
    return "undefined" if value is UNDEFINED else dumps(value)
