"""What `vectors/yaml.jsonl` cannot show: what is refused, and what is bounded."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ztag_extauthz.rego.builtins.catalogue import REGISTRY
from ztag_extauthz.rego.documents import dumps, loads
from ztag_extauthz.rego.errors import BuiltinError, EvaluationError, LimitError


def _read(text: str) -> Any:
    return REGISTRY["yaml.unmarshal"].function(text)


@pytest.mark.parametrize(
    "text",
    [
        "a: &x 1\nb: *x", "a: !!str 1", "<<: {a: 1}", "? a\n: b", "---\na: 1\n---\nb: 2", "%YAML 1.1\n---\na: 1",
        "a:\t1", "a: " + "1" * 90,
        "a: |\n  x", "a: >\n  x", "a: x\n  y", "a: 'x\n  y'", 'a: "\\/"', 'a: "\\x41"', 'a: "\\ud83d"', "a: .nan",
        "a: -.inf", "1.5: x", "~: x", "[a]: x", "{a:,b}", "a: .5_0", "a: \u2028", "a: \ufeff", "a: 1\r\n", "a: x\\'",
    ],
)  # fmt: skip
def test_what_is_not_supported_is_an_error(text: str) -> None:
    for name in ("yaml.unmarshal", "yaml.is_valid"):
        with pytest.raises(EvaluationError, match="not supported"):
            REGISTRY[name].function(text)


@pytest.mark.parametrize("text", ["*x", "a: *x", "[1, *x]", "{*x : 1}", "- *x\n", "a: *", '- {"a": [*b]}'])
def test_an_alias_without_an_anchor_is_malformed(text: str) -> None:
    with pytest.raises(BuiltinError):
        _read(text)
    assert REGISTRY["yaml.is_valid"].function(text) is False


def test_aliases_that_double_are_not_followed() -> None:
    text = "a0: &a0 [x]\n" + "".join(f"a{i + 1}: &a{i + 1} [*a{i}, *a{i}]\n" for i in range(40))
    with pytest.raises(EvaluationError, match="not supported"):
        _read(text)


@pytest.mark.parametrize("text", ["[" * 150_000, "- " * 90_000, "{a: " * 50_000, "x" * 1_000_000])
def test_what_is_too_deep_or_long_is_an_error(text: str) -> None:
    with pytest.raises(LimitError):
        _read(text)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text("abz 019:-,#'{}[].é", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab1 :-", max_size=3), inner, max_size=3),
)


@given(_VALUES)
def test_json_is_yaml(value: Any) -> None:
    """What JSON wrote is read as it was, or said not to be supported."""
    text = dumps(value, escape_html=False).replace(":", ": ").replace(",", ", ")
    if ": " in dumps(value) or ", " in dumps(value) or text.count(": ") != dumps(value).count(":"):
        return
    with suppress(EvaluationError):
        assert _read(text) == loads(text)


@given(st.text("ab1:,[]{}- \n'\"#&*!|>%?\\\t.~é"))
def test_no_text_raises_anything_else(text: str) -> None:
    with suppress(BuiltinError, EvaluationError):
        _read(text)
