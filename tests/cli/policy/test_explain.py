"""`ztag policy explain`: which rules were tried, and where they failed, without the input's values."""

import json
from collections.abc import Callable

import pytest
from typer.testing import Result

from tests.cli.conftest import Site, issuer, site  # noqa: F401 - fixtures
from tests.living_page import RECORDING
from tests.rego_page import ROOT
from ztag_extauthz.cli.policy.explain import shape

POLICY = str(ROOT / "policy/envoy")
ID = "00000000-0000-4000-8000-00000000000{}"


def test_an_allowed_recorded_request(run: Callable[..., Result]) -> None:
    result = run("policy", "explain", str(RECORDING), "--id", ID.format(2), "--policy", POLICY)
    assert result.exit_code == 0
    assert result.stdout.startswith("allow  ann: POST /orders\n")
    assert "      gave true\n" in result.stdout


def test_a_denied_recorded_request_as_json(run: Callable[..., Result]) -> None:
    result = run("policy", "explain", str(RECORDING), "--id", ID.format(7), "--policy", POLICY, "--json")
    assert result.exit_code == 1
    (policy,) = json.loads(result.stdout)["policies"]
    assert policy["decision"] == "envoy/authz/result"
    assert '    failed at line 44: "admin" in roles' in policy["explanation"]
    assert policy["reads"]["input.parsed_path"] == "array of 2"


def test_never_6_values_are_shown_on_demand_alone(run: Callable[..., Result]) -> None:
    asked = ("policy", "explain", str(RECORDING), "--id", ID.format(2), "--policy", POLICY)
    assert "acme" not in run(*asked).output
    assert "acme" in run(*asked, "--values").output


def test_a_request_of_options_goes_the_whole_way(run: Callable[..., Result], site: Site) -> None:  # noqa: F811
    bearer = ("-H", f"authorization: Bearer {site.token()}")
    result = run("policy", "explain", "--config", site.config, "--path", "/orders", *bearer)
    assert (result.exit_code, result.stdout.split("\n")[0]) == (0, "allow  ann: allowed by rego")
    assert site.token() not in result.output
    (site.folder / "no.rego").write_text("package envoy.authz\n\nresult := false\n")
    other = ("--policy", str(site.folder / "no.rego"))
    result = run("policy", "explain", "--config", site.config, "--path", "/orders", *bearer, *other)
    assert (result.exit_code, result.stdout.split("\n")[0]) == (1, "deny  ann: denied by rego")


def test_what_never_reached_a_policy_is_said(run: Callable[..., Result], site: Site) -> None:  # noqa: F811
    result = run("policy", "explain", "--config", site.config, "--path", "/orders;a=1")
    assert result.exit_code == 1
    assert result.stdout.endswith("no policy was asked\n")


def test_an_id_that_is_not_there(run: Callable[..., Result]) -> None:
    result = run("policy", "explain", str(RECORDING), "--id", "x", "--policy", POLICY)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"{RECORDING}: has no decision x (it keeps a `sample`")
    result = run("policy", "explain", "--id", "x")
    assert result.exit_code == 2
    assert "kind: recording" in result.stderr


@pytest.mark.parametrize(
    ("value", "said"),
    [([1], "array of 1"), ({}, "object of 0"), ("s", "string"), (1.5, "number"), (True, "boolean"), (None, "null")],
)
def test_shapes(value: object, said: str) -> None:
    assert shape(value) == said
