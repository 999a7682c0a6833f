"""The calls that the tests of the built-ins hold: each is asked of OPA, which has to answer what stands there.

    python -m loadtest.conformance.vectors [--cache .cache/conformance] [--write]

A row is `[name, arguments, answer]`: JSON, in which a set is `{"$set": [...]}`, and no answer is undefined.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from loadtest.conformance.reference import Question, Reference, build
from ztag_extauthz.rego.documents import dumps, loads
from ztag_extauthz.rego.values import Value, equal

FOLDER: Final = Path("tests/rego/builtins/vectors")
_BATCH: Final = 200


def literal(value: Value) -> str:
    """Write an argument as a Rego term."""
    if value.__class__ is dict and "$set" in value:
        members = ", ".join(map(literal, value["$set"]))
        return f"{{{members}}}" if members else "set()"
    if value.__class__ is dict:
        return "{" + ", ".join(f"{literal(name)}: {literal(member)}" for name, member in value.items()) + "}"
    if value.__class__ is list:
        return "[" + ", ".join(map(literal, value)) + "]"
    return json.dumps(value) if value.__class__ is str else dumps(value)


def asked(rows: list[list[Any]], reference: Reference) -> Iterator[list[Any]]:
    """Give each row with OPA's answer."""
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        rules = "".join(f"r{place} := {_call(row)}\n" for place, row in enumerate(batch))
        queries = [f"data.t.r{place}" for place in range(len(batch))]
        answer = reference.ask(Question({"t.rego": f"package t\n\n{rules}"}, queries, [None]))
        if "error" in answer:
            raise RuntimeError(answer["error"])
        for row, given in zip(batch, answer["answers"][0], strict=True):
            yield [*row[:2], given["value"]] if given["defined"] else row[:2]


def _call(row: list[Any]) -> str:
    # Through a look-up, so that OPA does not know the types before it evaluates.
    arguments = ", ".join(f'object.get({{"v": {literal(value)}}}, "v", 0)' for value in row[1])
    return f"{row[0]}({arguments})"


def main() -> int:
    parser = argparse.ArgumentParser(description="ask OPA about the calls that the tests hold")
    parser.add_argument("--cache", type=Path, default=Path(".cache/conformance"))
    parser.add_argument("--write", action="store_true", help="write OPA's answers into the files")
    options = parser.parse_args()
    differing = 0
    with Reference(build(options.cache)) as reference:
        for path in sorted(FOLDER.glob("*.jsonl")):
            rows = [loads(line) for line in path.read_text().splitlines()]
            answers = list(asked(rows, reference))
            differing += sum(not equal(row, answer) for row, answer in zip(rows, answers, strict=True))
            if options.write:
                path.write_text("".join(f"{dumps(answer)}\n" for answer in answers))
    print(f"{differing} calls are answered otherwise")
    return bool(differing and not options.write)


if __name__ == "__main__":
    sys.exit(main())
