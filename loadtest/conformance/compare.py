"""The engine beside the reference: what it answers to the same question, and how that differs.

| kind      | ours                                   | OPA's                                       |           |
|-----------|----------------------------------------|---------------------------------------------|-----------|
| equal     | the same value, undefined, or an error | the same                                    |           |
| spelled   | an equal value                         | the number written otherwise: `1.0`, `1`    | explained |
| refused   | the policy does not load               | loads                                       | explained |
| erring    | an error                               | a value, or undefined                       | explained |
| untyped   | loads                                  | refused by its type checker                 | explained |
| accepted  | loads                                  | refused for another reason                  | explained |
| lax       | a value, or undefined                  | an error, such as a conflict                | a finding |
| wrong     | a value, or undefined                  | another one                                 | a finding |
"""

from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from loadtest.conformance.reference import Question
from ztag_extauthz.rego.documents import dumps, loads
from ztag_extauthz.rego.engine import compile_policy
from ztag_extauthz.rego.errors import EvaluationError, PolicyError
from ztag_extauthz.rego.values import UNDEFINED, equal

FINDINGS: Final = ("lax", "wrong")
_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Result:
    kind: str
    query: str = ""
    place: int = 0  # of the input
    detail: str = ""

    @property
    def finding(self) -> bool:
        return self.kind in FINDINGS


def compare(question: Question, answer: dict[str, Any]) -> Iterator[Result]:
    points = [query.removeprefix("data.").replace(".", "/") for query in question.queries]
    try:
        policy = compile_policy(question.modules, question.data, entry_points=points)
    except PolicyError as error:
        yield Result("equal" if "error" in answer else "refused", detail=str(error))
        return
    if "error" in answer:
        yield Result("untyped" if answer.get("code") == "rego_type_error" else "accepted", detail=answer["error"])
        return
    for place, (document, given) in enumerate(zip(question.inputs, answer["answers"], strict=True)):
        for query, point, wanted in zip(question.queries, points, given, strict=True):
            kind, detail = _compared(_answered(policy, point, document, strict=question.strict), wanted)
            yield Result(kind, query, place, detail)


def _answered(policy: Any, point: str, document: Any, *, strict: bool) -> dict[str, Any]:
    try:
        deadline = monotonic() + _SECONDS
        value = policy.decision(point).evaluate(document, deadline=deadline, strict=strict)
    except EvaluationError as error:
        return {"defined": False, "code": error.code, "message": str(error)}
    if value is UNDEFINED:
        return {"defined": False}
    return {"defined": True, "value": dumps(value)}


def _compared(ours: dict[str, Any], wanted: dict[str, Any]) -> tuple[str, str]:
    theirs = {**wanted, "value": dumps(wanted["value"])} if wanted["defined"] else wanted
    detail = f"ours {_shown(ours)}, OPA's {_shown(theirs)}"
    if "code" in ours:
        return ("equal" if "code" in theirs else "erring"), detail
    if "code" in theirs:
        return "lax", detail
    if not ours["defined"] or not theirs["defined"]:
        return ("equal" if ours["defined"] == theirs["defined"] else "wrong"), detail
    if ours["value"] == theirs["value"] or dumps(loads(ours["value"])) == theirs["value"]:
        return "equal", detail
    return ("spelled" if equal(loads(ours["value"]), wanted["value"]) else "wrong"), detail


def _shown(answer: dict[str, Any]) -> str:
    if "code" in answer:
        return f"error {answer['code']}: {answer.get('message', '')}"
    return str(answer["value"]) if answer["defined"] else "undefined"
