"""`ztag policy bench`: what is measured, not how fast it is."""

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from tests.cli.policy.conftest import Write

OPA = """#!/bin/sh
echo "$@" > arguments
echo '{"Extra": {"histogram_timer_rego_query_eval_ns_median": 4200}}'
"""


@pytest.fixture
def ask(run: Callable[..., Result], write: Write) -> Callable[..., Result]:
    write("p.rego", "package p\n\nallow if input.user\n")
    write("in.json", '{"user": "ann"}')

    def bench(*options: str, decision: str = "p/allow") -> Result:
        asked = ("--policies", "p.rego", "--decision", decision, "--input", "in.json", "--rounds", "1")
        return run("policy", "bench", *asked, *options)

    return bench


def test_the_costs_are_told(ask: Callable[..., Result]) -> None:
    result = ask()
    assert result.exit_code == 0
    costs = json.loads(result.stdout)
    assert costs.keys() == {"load", "decision", "decision with JSON in and out"}
    assert all(cost > 0 for cost in costs.values())


def test_an_undefined_decision_has_a_cost_too(ask: Callable[..., Result]) -> None:
    assert ask(decision="p").exit_code == 0


def test_a_result_too_large_to_write_is_told(
    ask: Callable[..., Result], write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubled = "".join(f"x{level + 1} := [x{level}, x{level}]\n" for level in range(40))
    write("p.rego", f"package p\n\nx0 := [input.user]\n{doubled}")
    monkeypatch.setattr("ztag_extauthz.cli.policy.bench.SECONDS", 0.05)
    result = ask(decision="p/x40")
    assert (result.exit_code, result.stderr) == (2, "eval_limit_error: the deadline of the evaluation has passed\n")


def test_opa_is_asked_the_same(ask: Callable[..., Result], write: Write, tmp_path: Path) -> None:
    write("opa", OPA)
    (tmp_path / "opa").chmod(stat.S_IRWXU)
    costs = json.loads(ask("--opa", str(tmp_path / "opa")).stdout)
    assert costs["opa"] == 4.2
    arguments = (tmp_path / "arguments").read_text()
    assert arguments.startswith("bench --format json --input ")
    assert arguments.endswith("--data p.rego data.p.allow\n")


def test_opa_s_refusal_is_told(ask: Callable[..., Result], write: Write, tmp_path: Path) -> None:
    write("opa", "#!/bin/sh\necho no >&2\nexit 1\n")
    (tmp_path / "opa").chmod(stat.S_IRWXU)
    result = ask("--opa", str(tmp_path / "opa"))
    assert result.exit_code == 2
    assert result.stderr.endswith("opa: no\n")


def test_an_input_that_is_no_object_is_refused(ask: Callable[..., Result], write: Write) -> None:
    write("in.json", "[]")
    result = ask()
    assert result.exit_code == 2
    assert "the input is no JSON object" in result.stderr
