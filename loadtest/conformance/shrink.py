"""A difference made small: definitions, lines and inputs are taken away while it stays a difference of its kind."""

from collections.abc import Iterator
from dataclasses import replace

from loadtest.conformance.compare import Result, compare
from loadtest.conformance.generator import Definition, Policy
from loadtest.conformance.reference import Question, Reference


def shrink(policy: Policy, question: Question, result: Result, reference: Reference) -> tuple[Policy, Question]:
    document = question.inputs[result.place] if question.inputs else None
    asked = [result.query] if result.query else question.queries

    def still_differs(candidate: Policy) -> bool:
        smaller = _question(candidate, asked, document)
        return any(found.kind == result.kind for found in compare(smaller, reference.ask(smaller)))

    progress = still_differs(policy)
    while progress:
        progress = False
        for candidate in _smaller(policy):
            if candidate.definitions and still_differs(candidate):
                policy, progress = candidate, True
                break
    return policy, _question(policy, asked, document)


def _question(policy: Policy, queries: list[str], document: object) -> Question:
    return Question({"t.rego": policy.text()}, queries, [document])


def _smaller(policy: Policy) -> Iterator[Policy]:
    definitions = policy.definitions
    for place, definition in enumerate(definitions):
        yield Policy([*definitions[:place], *definitions[place + 1 :]])
        for part in _parts(definition):
            yield Policy([*definitions[:place], part, *definitions[place + 1 :]])


def _parts(definition: Definition) -> Iterator[Definition]:
    if definition.tail:
        yield replace(definition, tail="")
    for place in range(len(definition.body)):
        yield replace(definition, body=definition.body[:place] + definition.body[place + 1 :])
