"""What `vectors/templates.jsonl` cannot show: what is refused, and what is bounded."""

from typing import Any

import pytest

from ztag_extauthz.rego.builtins.catalogue import REGISTRY
from ztag_extauthz.rego.engine import LimitError, compile_policy
from ztag_extauthz.rego.errors import EvaluationError


def _rendered(template: str, values: Any) -> Any:
    return REGISTRY["strings.render_template"].function(template, values)


@pytest.mark.parametrize(
    "action",
    [
        "print 1", ".a | len", "len .a", '"x"', "1", "true", "$x := .a", "$.a = .b", "define `x`", "template `x`",
        "block `x` .", "break", "continue", "(.a)", ".a .b", "not .a", "if eq .a .b", "if $x := .a", "with $x := .a",
        "range 3", "range .n", "é", ".é", "-", "/* a", "nil", "",
    ],
)  # fmt: skip
def test_what_is_not_supported_is_an_error(action: str) -> None:
    with pytest.raises(EvaluationError, match="not supported"):
        _rendered(
            f"{{{{{action}}}}}{{{{end}}}}" if action.startswith("range") else f"{{{{{action}}}}}", {"a": 1, "n": 3}
        )


def test_a_text_that_grows_without_end_is_stopped() -> None:
    template = "{{range $.l}}" * 8 + "xxxxxxxxxx" + "{{end}}" * 8
    with pytest.raises(LimitError, match="larger than the limit"):
        _rendered(template, {"l": list(range(10))})


@pytest.mark.timeout(60)
def test_loops_that_write_nothing_end_by_the_deadline() -> None:
    template = "{{range $.l}}" * 30 + "{{end}}" * 30
    rule = f'x := strings.render_template("{template}", {{"l": input}})'
    decision = compile_policy({"p.rego": f"package p\n\n{rule}"}, entry_points=["p/x"]).decision("p/x")
    with pytest.raises(LimitError, match="deadline"):
        decision.evaluate(list(range(10)), deadline=0.0)


def test_what_is_nested_too_deeply_is_an_error() -> None:
    rule = 'x := strings.render_template(concat("", [input.t, input.e]), {"a": 1})'
    decision = compile_policy({"p.rego": f"package p\n\n{rule}"}, entry_points=["p/x"]).decision("p/x")
    with pytest.raises(LimitError, match="deeply"):
        decision.evaluate({"t": "{{if .a}}" * 5000, "e": "{{end}}" * 5000})
