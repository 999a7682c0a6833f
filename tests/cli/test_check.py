"""`ztag check`: one decision as the server would make it, and honest exit codes."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from typer.testing import Result

from tests.cli.conftest import Site


@pytest.fixture
def check(run: Callable[..., Result], site: Site) -> Callable[..., tuple[int, dict[str, Any]]]:
    def ask(*arguments: str, stdin: str = "") -> tuple[int, dict[str, Any]]:
        result = run("check", "--config", site.config, "--json", *arguments, stdin=stdin)
        return result.exit_code, json.loads(result.stdout)

    return ask


def test_an_allow_exits_with_0(check: Callable[..., tuple[int, dict[str, Any]]], site: Site) -> None:
    code, told = check("--path", "/orders", "-H", f"authorization: Bearer {site.token()}")
    assert code == 0
    assert told["outcome"] == "allow"
    assert [stage["verdict"] for stage in told["stages"]] == ["pass", "pass", "allow"]
    assert told["decision"]["identity"]["subject"] == "ann"
    headers = {entry["header"]["key"]: entry["header"]["value"] for entry in told["envoy"]["okResponse"]["headers"]}
    assert headers["x-user"] == "ann"


def test_a_denial_exits_with_1(check: Callable[..., tuple[int, dict[str, Any]]]) -> None:
    code, told = check("--path", "/orders")
    assert code == 1
    assert told["envoy"]["deniedResponse"]["status"] == {"code": "Unauthorized"}


def test_what_was_not_reached_is_said(check: Callable[..., tuple[int, dict[str, Any]]]) -> None:
    code, told = check("--path", "/orders;a=1")
    assert code == 1
    assert [stage["verdict"] for stage in told["stages"]] == ["deny", "not reached", "not reached"]


def test_an_error_exits_with_2(check: Callable[..., tuple[int, dict[str, Any]]], site: Site) -> None:
    (site.folder / "undefined.rego").write_text("package envoy.authz\n\nresult := true if input.never\n")
    settings = yaml.safe_load((site.folder / "ztag.yaml").read_text())
    settings["authorization"][0]["policies"] = ["undefined.rego"]
    (site.folder / "ztag.yaml").write_text(yaml.safe_dump(settings))
    code, told = check("--path", "/orders")
    assert code == 2
    assert told["envoy"]["grpcStatus"] == "UNKNOWN"


def test_a_check_request_is_read_from_stdin(check: Callable[..., tuple[int, dict[str, Any]]]) -> None:
    http = {"method": "GET", "path": "/health", "headers": {":path": "/health"}}
    request = {"attributes": {"source": {"principal": "spiffe://mesh/a"}, "request": {"http": http}}}
    code, told = check("-", stdin=json.dumps(request))
    assert code == 0
    assert told["decision"]["request"]["sourcePrincipal"] == "spiffe://mesh/a"


def test_a_body_is_decided_upon(check: Callable[..., tuple[int, dict[str, Any]]], site: Site) -> None:
    def order(amount: int) -> int:
        headers = ("-H", f"authorization: Bearer {site.token()}", "-H", "content-type: application/json")
        return check("-X", "POST", "--path", "/orders", *headers, "-d", json.dumps({"amount": amount}))[0]

    assert (order(1), order(5000)) == (0, 1)


def test_repeated_headers_are_joined_as_envoy_does(
    check: Callable[..., tuple[int, dict[str, Any]]], site: Site
) -> None:
    header = ("-H", f"authorization: Bearer {site.token()}")
    assert check("--path", "/orders", *header, *header)[0] == 1


def test_the_policys_input_is_shown_on_demand(check: Callable[..., tuple[int, dict[str, Any]]]) -> None:
    assert "input" not in check("--path", "/health")[1]
    told = check("--path", "/health?a=1", "--input", "--principal", "spiffe://mesh/a")[1]
    assert told["input"]["parsed_path"] == ["health"]
    assert told["input"]["parsed_query"] == {"a": ["1"]}
    assert told["input"]["source_principal"] == "spiffe://mesh/a"
    assert told["input"]["identity"]["kind"] == "anonymous"


def test_never_6_no_token_is_printed(run: Callable[..., Result], site: Site) -> None:
    token = site.token()
    result = run("check", "--config", site.config, "--path", "/orders", "-H", f"authorization: Bearer {token}")
    assert result.exit_code == 0
    assert token not in result.output


@pytest.mark.parametrize("text", ["{", "[]", '{"attribute": {}}', '{"attributes": {"request": 1}}'])
def test_what_is_no_check_request_is_refused(run: Callable[..., Result], site: Site, text: str) -> None:
    result = run("check", "-", "--config", site.config, stdin=text)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "CheckRequest" in result.stderr


def test_nothing_is_reported(run: Callable[..., Result], site: Site) -> None:
    """A question is no request: the audit log on stdout stays empty."""
    result = run("check", "--config", site.config, "--path", "/health")
    assert json.loads(result.stdout)["outcome"] == "allow"
