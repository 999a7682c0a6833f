"""Calls of the built-ins with the answers that OPA gave (`loadtest/conformance/vectors.py` asks it again)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ztag_extauthz.rego.builtins.catalogue import REGISTRY
from ztag_extauthz.rego.builtins.interface import NOT_CONSTANT, Context
from ztag_extauthz.rego.documents import dumps, loads
from ztag_extauthz.rego.errors import BuiltinError
from ztag_extauthz.rego.values import UNDEFINED, Value, make_set

FILES = sorted(Path(__file__).with_name("vectors").glob("*.jsonl"))


def decoded(value: Any) -> Value:
    if isinstance(value, dict) and "$set" in value:
        return make_set([decoded(member) for member in value["$set"]])
    if isinstance(value, dict):
        return {name: decoded(member) for name, member in value.items()}
    return [decoded(member) for member in value] if isinstance(value, list) else value


def called(name: str, arguments: list[Value]) -> str:
    """Call a built-in as a policy would, and give its answer as JSON."""
    known = REGISTRY[name]
    first = [Context(now_ns=0)] if known.context else []
    try:
        return shown(known.function(*first, *arguments))
    except BuiltinError:
        return "undefined"


def shown(value: Value) -> str:
    return "undefined" if value is UNDEFINED else dumps(loads(dumps(value)))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_calls_are_answered_as_opa_answers_them(path: Path) -> None:
    """Every recorded call has OPA's answer, numbers spelled as OPA spells them."""
    wrong = []
    for line in path.read_text().splitlines():
        name, arguments, *answer = loads(line)
        got = called(name, [decoded(argument) for argument in arguments])
        if got != (dumps(answer[0]) if answer else "undefined"):
            wrong.append(f"{name}{arguments}: {got}, not {answer}")
    assert not wrong


@pytest.mark.parametrize("name", ["glob.match", "regex.match", "sprintf"])
def test_a_specialised_call_answers_like_the_general_one(name: str) -> None:
    """What is prepared for a constant pattern gives the answers that the plain function gives."""
    known = REGISTRY[name]
    assert known.specialise is not None
    for path in FILES:
        for line in path.read_text().splitlines():
            called_name, arguments, *_ = loads(line)
            if called_name == name:
                values = [decoded(argument) for argument in arguments]
                prepared = known.specialise([*values[:-1], NOT_CONSTANT])
                assert prepared is None or shown(prepared(values[-1])) == called(name, values), line
