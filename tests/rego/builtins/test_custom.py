from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint

import pytest

from ztag_extauthz.rego.builtins import custom
from ztag_extauthz.rego.builtins.interface import REGISTRY
from ztag_extauthz.rego.engine import compile_policy
from ztag_extauthz.rego.errors import BuiltinError, EvaluationError, PolicyError
from ztag_extauthz.rego.names import builtin_arity, find_builtin
from ztag_extauthz.rego.values import UNDEFINED, Value


@custom.signature("(string, number) => number", pure=True)
def score(account: Value, limit: Value) -> Value:
    if account == "nobody":
        raise BuiltinError("no such account")
    if account == "broken":
        raise KeyError(account)
    return len(account) * limit


@custom.signature("() => boolean")
def lucky() -> Value:
    return True


@pytest.fixture
def registered() -> Iterator[None]:
    custom.register("acme.score", score)
    custom.register("acme_lucky", lucky)
    yield
    for name in ("acme.score", "acme_lucky"):
        del REGISTRY[name]
    find_builtin.cache_clear()
    builtin_arity.cache_clear()


def _evaluate(body: str, document: Value = UNDEFINED) -> Value:
    return compile_policy({"p.rego": f"package p\n{body}"}, entry_points=["p/x"]).decision("p/x").evaluate(document)


@pytest.mark.usefixtures("registered")
def test_a_function_of_ones_own_is_called() -> None:
    assert _evaluate("x := acme.score(input.a, 2)", {"a": "abc"}) == 6
    assert _evaluate("x if acme_lucky()") is True
    assert _evaluate("x if acme.score(input.a, 2, 6)", {"a": "abc"}) is True


@pytest.mark.usefixtures("registered")
def test_its_errors_are_undefined_and_its_mistakes_end_the_evaluation() -> None:
    assert _evaluate("x := acme.score(input.a, 2)", {"a": "nobody"}) is UNDEFINED
    with pytest.raises(EvaluationError, match=r"acme\.score: KeyError"):
        _evaluate("x := acme.score(input.a, 2)", {"a": "broken"})


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("call", ["acme.score(1, 2)", 'acme.score("a")', 'acme.score("a", 1, 2, 3)', "acme.other()"])
def test_its_types_and_arity_are_checked_at_load(call: str) -> None:
    with pytest.raises(PolicyError):
        _evaluate(f"x := {call}")


@pytest.mark.usefixtures("registered")
def test_it_is_impure_unless_it_says_otherwise() -> None:
    policy = compile_policy({"p.rego": "package p\nx if acme_lucky()\ny := acme.score(input.a, 1)"})
    assert policy.reads("p/x").impure == {"acme_lucky"}
    assert not policy.reads("p/y").impure


@pytest.mark.usefixtures("registered")
def test_it_may_be_replaced_by_with() -> None:
    assert _evaluate('x := y if y := acme.score("a", 1) with acme.score as 7') == 7


@pytest.mark.parametrize(
    ("name", "function", "message"),
    [
        ("count", score, "no name"),
        ("a-b", score, "no name"),
        ("data.x", score, "no name"),
        ("acme.bare", len, "not marked"),
        ("acme.none", custom.signature("string")(lambda: 1), "no signature"),
        ("acme.type", custom.signature("(str) => string")(lambda text: text), "no signature"),
        ("acme.more", custom.signature("(string, string) => string")(lambda text: text), "does not take"),
    ],
)
def test_what_cannot_be_a_built_in_says_why(name: str, function: Callable[..., Value], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        custom.register(name, function)
    assert name == "count" or name not in REGISTRY


def test_entry_points_are_found_and_their_mistakes_told(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint("acme.gone", "no_such_module:function", custom.GROUP)]
    monkeypatch.setattr(custom, "entry_points", lambda group: points if group == custom.GROUP else [])
    with pytest.raises(PolicyError, match=r"acme\.gone.*cannot be loaded"):
        custom.load.__wrapped__()
