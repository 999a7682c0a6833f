"""What a projection takes of a request: its key is exact, and the engine needs nothing else."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.authorization.parts import FAR, engine
from tests.envoy.checks import a92, check, connection, listed, request
from ztag_extauthz.authorization.input import opa_input, projection_parts
from ztag_extauthz.authorization.input.projection import Projection
from ztag_extauthz.errors import EvaluationError
from ztag_extauthz.model import Context, Identity
from ztag_extauthz.rego.documents import dumps
from ztag_extauthz.rego.frozen import Broken, freeze
from ztag_extauthz.rego.reads import Reads
from ztag_extauthz.rego.values import UNDEFINED, Number

HTTP = "input.attributes.request.http"
CONDITIONS = [
    f'{HTTP}.method == "GET"',
    f"count({HTTP}.path) > 5",
    f'{HTTP}.headers["x-a"] == {HTTP}.headers["x-b"]',
    f'{HTTP}.headers["x-a"]',
    f"not {HTTP}.headers.missing",
    f"{HTTP}.size > 3",
    f'some name, value in {HTTP}.headers; value == "1"',
    "x := input.attributes.source; x == x",
    'input.attributes.source.address.socketAddress.address == "10.0.0.1"',
    "input.attributes.destination.principal",
    "input.attributes.metadataContext.filterMetadata.a.b == 1",
    'input.attributes.contextExtensions.tier == "gold"',
    "input.parsed_path[1] == input.identity.subject",
    'input.parsed_path == ["a", "b"]',
    "count(input.parsed_path) > 1",
    "x := input.parsed_path[1]; true",
    'input.parsed_query.a[0] == "1"',
    "count(input.parsed_query) > 1",
    "input.parsed_body.amount <= 10",
    "not input.parsed_body",
    "input.truncated_body",
    "x := input.parsed_body; true",
    "input.source_principal",
    "not input.source_principal",
    "input.version.ext_authz",
    '"admin" in input.identity.claims.roles',
    "input.identity.claims.level == 1",
    "input.identity.claims.level == true",
    'json.marshal(input.identity.claims.level) == "1.0"',
    "input.identity.claims.org.unit",
    "x := input.identity.claims.org; y := x.unit; y == null",
    "input.identity.expires_at > 5",
    'input.risk.band == "high"',
    "input.risk.score > 0.5",
    "not input.risk",
    "input.risk.signals[0] == input.risk.signals[1]",
    'walk(input.identity, [_, "admin"])',
    'walk(input, [_, "admin"])',
    "input[input.parsed_path[0]]",
]


PIECES = [None, True, False, 0, 1, 1.0, 0.5, 2**70, "a", "admin", [], {}, ["admin"], [1, True], {"unit": None}]


def any_value(dice: Random) -> Any:
    if dice.random() < 0.8:
        return dice.choice(PIECES)
    return {dice.choice(["unit", "a"]): any_value(dice)} if dice.random() < 0.7 else [any_value(dice), any_value(dice)]


def optional(dice: Random, **choices: Any) -> dict[str, Any]:
    return {name: value() for name, value in choices.items() if dice.random() < 0.6}


def identity(dice: Random) -> Identity:
    claims = optional(
        dice,
        roles=lambda: dice.choice([["admin"], ["dev"], [], any_value(dice)]),
        level=lambda: any_value(dice),
        org=lambda: any_value(dice),
    )
    subject, expires_at = dice.choice(["alice", "b"]), dice.choice([None, 1.5, 10.0])
    return Identity(subject, "https://issuer.example", "jwt", claims, expires_at)


def risk(dice: Random) -> dict[str, Any]:
    return {
        "band": dice.choice(["high", "low"]),
        "score": dice.choice([0.25, 0.75, 1]),
        **optional(dice, signals=lambda: dice.choice([["a"], ["a", "a"], ["a", "b"]])),
    }


BODIES: list[dict[str, Any]] = [
    {},
    {"body": '{"amount": 5}'},
    {"body": '{"amount": 5.0}'},
    {"body": "null"},
    {"body": "[1]"},
    {"raw_body": b'{"a": 1}'},
]


def message(dice: Random) -> CheckRequest:
    path = dice.choice(["/", "/a/b", "/a%2Fb", "//a/b", "/a/alice", "/identity", "/risk/x"])
    path += dice.choice(["", "?", "?a=1", "?a=1&b=2", "?a=%31"])
    if dice.random() < 0.2:
        return dice.choice([a92(), connection(), listed([("x-a", b"1"), ("X-A", b"2")], path)])
    headers = optional(dice, **{name: lambda: dice.choice("12") for name in ("x-a", "x-b", "X-A")})
    headers |= {"content-type": "application/json"} if dice.random() < 0.5 else {}
    headers |= {"x-envoy-auth-partial-body": "true"} if dice.random() < 0.2 else {}
    return check(path, method=dice.choice(["GET", "POST"]), headers=headers, **dice.choice(BODIES))


def dressed(dice: Random, asked: CheckRequest) -> CheckRequest:
    attributes = asked.attributes
    if dice.random() < 0.5:
        attributes.source.principal = "spiffe://mesh.example/a"
    if dice.random() < 0.5:
        attributes.context_extensions["tier"] = dice.choice(["gold", "lead"])
    if dice.random() < 0.5:
        attributes.metadata_context.filter_metadata["a"].fields["b"].number_value = dice.choice([1.0, 1.5])
    if dice.random() < 0.1:
        attributes.ClearField("source")
    return asked


def context(dice: Random) -> Context:
    return Context(request(dressed(dice, message(dice))), identity(dice), optional(dice, risk=lambda: risk(dice)))


def some(seed: int) -> list[Context]:
    dice = Random(seed)  # noqa: S311
    return [context(dice) for _ in range(40)]


def policy(condition: str) -> str:
    return f"default result := false\nresult := true if {{ {condition} }}"


ENGINES = {condition: engine(policy(condition)) for condition in CONDITIONS}


def answer(condition: str, document: Any) -> str:
    try:
        value = ENGINES[condition].evaluate(document, FAR)
    except EvaluationError as error:
        return str(error)
    return "undefined" if value is UNDEFINED else dumps(value)


def check_all(asked: list[Context], make: Callable[[Reads], Projection] = Projection) -> None:
    """The engine answers what is projected as it answers the whole; and requests with one key have one answer."""
    wholes = [opa_input.build(context) for context in asked]
    for condition, policy_engine in ENGINES.items():
        project = make(policy_engine.reads())
        known: dict[Any, tuple[str, str]] = {}
        for context, whole in zip(asked, wholes, strict=True):
            reading = project.read(context)
            document = project.document(reading)
            expected = answer(condition, whole)
            assert answer(condition, document) == expected, (condition, document)
            assert known.setdefault(reading.key, (dumps(document), expected)) == (dumps(document), expected), condition


@settings(max_examples=20)
@given(st.integers(0, 1 << 32))
def test_inputs_that_agree_on_the_projection_agree_in_the_decision(seed: int) -> None:
    check_all(some(seed))


def without_a_path(reads: Reads) -> Projection:
    return Projection(replace(reads, deep=frozenset(sorted(reads.deep, key=repr)[:-1])))


def truthy(value: Any) -> Any:
    """`true` and 1 are one value."""
    return ("int", int(value)) if isinstance(value, bool) else freeze(value)


def spelled_alike(value: Any) -> Any:
    """1.0 and 1 are one value."""
    return ("int", int(value)) if value.__class__ is Number and value == int(value) else freeze(value)


def null_is_nothing(value: Any) -> Any:
    return None if isinstance(value, Broken) else freeze(value)


@pytest.mark.parametrize("broken", [truthy, spelled_alike, null_is_nothing, None])
def test_a_projection_that_is_broken_is_noticed(
    broken: Callable[[Any], Any] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if broken is not None:
        monkeypatch.setattr(projection_parts, "freeze", broken)
    make = without_a_path if broken is None else Projection

    many = [context for seed in range(50) for context in some(seed)]
    with pytest.raises(AssertionError):
        check_all(many, make)
