"""Built-ins stay small and quick whatever they are given, and say so where they refuse."""

from __future__ import annotations

from time import monotonic
from typing import Any

import pytest

from ztag_extauthz.rego.builtins.catalogue import REGISTRY
from ztag_extauthz.rego.builtins.interface import Context
from ztag_extauthz.rego.builtins.signatures import DEPRECATED, SIGNATURES
from ztag_extauthz.rego.documents import dumps
from ztag_extauthz.rego.errors import BuiltinError, EvaluationError, LimitError

LONG = "a" * 600_000
REFUSED = {
    "graphql.is_valid", "graphql.parse", "graphql.parse_and_verify", "graphql.parse_query", "graphql.parse_schema",
    "graphql.schema_is_valid", "net.lookup_ip_addr",
    "opa.runtime", "providers.aws.sign_req", "rego.parse_module",
    "yaml.marshal",
}  # fmt: skip
# What the compiler answers by itself.
OWN = {"assign", "eq", "internal.test_case", "rego.metadata.chain", "rego.metadata.rule"}


def call(name: str, *arguments: Any) -> Any:
    known = REGISTRY[name]
    return known.function(*([Context()] if known.context else []), *arguments)


def test_every_name_is_there_or_refused() -> None:
    """Nothing that OPA has is missing without being listed."""
    assert set(SIGNATURES) - set(REGISTRY) - DEPRECATED == REFUSED | OWN


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("array.concat", ([0] * 600_000, [0] * 600_000)),
        ("numbers.range", (1, 10**12)),
        ("numbers.range_step", (1, 10**18, 2)),
        ("net.cidr_expand", ("10.0.0.0/8",)),
        ("net.cidr_expand", ("::/0",)),
        ("replace", (LONG, "a", "bbb")),
        ("strings.replace_n", ({"a": "bbb"}, LONG)),
        ("concat", (LONG, ["a", "b", "c"])),
        ("sprintf", ("%999999d%999999d", [1, 2])),
        ("bits.lsh", (1, 10**9)),
        ("regex.replace", (LONG, "a", "$0$0$0")),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 40 else "",
)
@pytest.mark.timeout(60)
def test_what_would_grow_too_large_is_refused(name: str, arguments: tuple[Any, ...]) -> None:
    """A size over the limit ends the evaluation: it is no undefined answer."""
    with pytest.raises(LimitError):
        call(name, *arguments)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("regex.match", ("(a+)+$", "a" * 50_000 + "!")),
        ("regex.match", ("^(a|aa)+$", "a" * 50_000 + "!")),
        ("regex.match", ("(x+x+)+y", "x" * 50_000)),
        ("glob.match", ("*a*a*a*a*b", [], "a" * 50_000)),
        ("glob.match", ("{a*,b*}{a*,b*}{a*,b*}c", [], "ab" * 20_000)),
        ("glob.match", ("**a**/**b", ["/"], "a/" * 20_000)),
    ],
)
@pytest.mark.timeout(60)
def test_patterns_take_linear_time(name: str, arguments: tuple[Any, ...]) -> None:
    """Patterns that make a backtracking engine stand still are answered at once."""
    assert call(name, *arguments) is False


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("sprintf", ("%p", [2**70])),
        ("regex.find_n", ("\\B", "é", -1)),
        ("time.format", ([0, "Local"],)),
    ],
)
def test_what_cannot_be_answered_as_opa_does_is_no_answer(name: str, arguments: tuple[Any, ...]) -> None:
    """There is an error that cannot be taken for undefined."""
    with pytest.raises(EvaluationError):
        call(name, *arguments)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(
            ("to_number", text)
            for text in ("1e900000000", "9" * 5000, "0." + "1" * 5000, "0x1p900000000", "1__0", "_1")
        ),
        *(("units.parse", text) for text in ("1e999999", "9" * 5000)),
        *(("units.parse_bytes", text) for text in ("1e999999", "9" * 5000)),
        *(("json.unmarshal", text) for text in ("9" * 5000, "1e900000000", "[" * 5000, "[" * 500 + "]" * 500)),
        ("json.unmarshal", "[" * 900 + '"\\ud800"' + "]" * 900),
    ],
    ids=lambda text: text[:20],
)
def test_a_text_that_is_too_much_to_read_is_undefined(name: str, text: str) -> None:
    """A caller who writes it gets what one gets who writes nonsense, and no error."""
    with pytest.raises(BuiltinError):
        call(name, text)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1_0", "10"),
        ("1_000.5", "1000.5"),
        ("0x1p-2", "0.25"),
        ("-0x_1_0P+2", "-64"),
        ("0x.8p1", "1"),
        ("0x1p1_0", "1024"),
    ],
)
def test_numbers_are_read_as_go_reads_them(text: str, number: str) -> None:
    assert dumps(call("to_number", text)) == number


def test_a_deadline_stops_a_walk() -> None:
    """A loop looks at the clock."""
    context = Context(deadline=monotonic() - 1)
    with pytest.raises(LimitError):
        list(REGISTRY["walk"].function(context, [1, 2, 3]))


def test_random_answers_are_one_within_an_evaluation() -> None:
    """The same dice and the same name give the same number, and the same UUID."""
    context = Context(seed=1)
    for name, arguments in (("rand.intn", ("x", 1000)), ("uuid.rfc4122", ("x",))):
        function = REGISTRY[name].function
        assert function(context, *arguments) == function(context, *arguments)


def test_a_type_error_is_a_builtin_error() -> None:
    """A wrong type makes a call undefined, as any error of a built-in does."""
    with pytest.raises(BuiltinError, match="operand 1 must be string but got number"):
        call("upper", 1)


def test_deadlines_are_of_the_clock_that_the_server_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ztag_extauthz.rego.builtins.interface.monotonic", lambda: 17.0)
    Context(deadline=17.0).check()
    with pytest.raises(LimitError):
        Context(deadline=16.9).check()
