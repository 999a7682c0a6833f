"""`ztag check`: one decision as the server would make it, and honest exit codes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import Result

from tests.cli.conftest import Site
from ztag_extauthz.cli.check import _print, _request
from ztag_extauthz.cli.common import load_settings, resources_for
from ztag_extauthz.cli.trace import trace


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


def test_a_header_that_is_not_owned_is_warned_of(check: Callable[..., tuple[int, dict[str, Any]]], site: Site) -> None:
    ask = ("--path", "/orders", "-H", f"authorization: Bearer {site.token()}")
    _, told = check(*ask)
    assert [line.partition(":")[0] for line in told["warnings"]] == [
        "the policy sets x-user, which response.owned_headers does not list"
    ]
    with open(site.config, "a") as file:  # noqa: PTH123 - to append
        file.write("response: {owned_headers: [X-User]}\n")
    _, told = check(*ask)
    assert told["warnings"] == []


def test_a_denial_exits_with_1(check: Callable[..., tuple[int, dict[str, Any]]]) -> None:
    code, told = check("--path", "/orders")
    assert code == 1
    assert told["envoy"]["deniedResponse"]["status"] == {"code": "Unauthorized"}


def test_what_ztag_answers_itself_goes_nowhere_and_exits_with_1(
    check: Callable[..., tuple[int, dict[str, Any]]], site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    with open(site.config, "a") as file:  # noqa: PTH123 - to append
        file.write("protected_resources: [{resource: 'https://api.example'}]\n")
    path = "/.well-known/oauth-protected-resource"
    code, told = check("--path", path, "--host", "api.example")
    assert (code, told["outcome"]) == (1, "answered")
    settings = load_settings(Path(site.config))
    text = json.dumps(_request("GET", path, "api.example", [], "", ""))
    _print(trace(settings, resources_for(site.folder), text, 5.0, with_values=False), show_input=False)
    assert "answered" in capsys.readouterr().out


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
    http = {"method": "GET", "path": "/health", "host": "api.example", "headers": {":path": "/health"}}
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
    assert "stdin: no CheckRequest in JSON" in result.stderr


def test_nothing_is_reported(run: Callable[..., Result], site: Site) -> None:
    """A question is no request: the audit log on stdout stays empty."""
    result = run("check", "--config", site.config, "--path", "/health")
    assert json.loads(result.stdout)["outcome"] == "allow"


def test_a_terminal_gets_a_table(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    text = json.dumps(_request("GET", "/health", "shop.example", [], "", ""))
    found = trace(load_settings(Path(site.config)), resources_for(site.folder), text, 10.0)
    _print(found, show_input=True)
    printed = capsys.readouterr().out
    assert printed.startswith("allow  anonymous: allowed by rego")
    assert "authorization" in printed
    assert "okResponse" in printed
    assert '"parsed_path"' in printed


def test_what_the_policy_read_is_told_with_its_values(
    check: Callable[..., tuple[int, dict[str, Any]]], site: Site
) -> None:
    _, told = check("--path", "/orders", "-H", f"authorization: Bearer {site.token()}")
    (policy,) = told["policies"]
    assert policy["reads"]["input.identity.kind"] == "jwt"
    assert policy["reads"]["input.parsed_path"] == ["orders"]
    assert policy["reads"]["input.parsed_query.region"] == "(undefined)"
    assert any("data.envoy.authz.allow" in line for line in policy["explanation"])


def test_never_6_headers_that_a_policy_reads_are_masked(
    check: Callable[..., tuple[int, dict[str, Any]]], site: Site
) -> None:
    (site.folder / "headers.rego").write_text(
        "package envoy.authz\n\nresult if input.attributes.request.http.headers.authorization\n"
    )
    settings = yaml.safe_load((site.folder / "ztag.yaml").read_text())
    settings["authorization"][0]["policies"] = ["headers.rego"]
    (site.folder / "ztag.yaml").write_text(yaml.safe_dump(settings))
    _, told = check("--path", "/orders", "-H", f"authorization: Bearer {site.token()}")
    (policy,) = told["policies"]
    assert policy["reads"] == {"input.attributes.request.http.headers.authorization": "[masked]"}
    assert site.token() not in json.dumps(policy)


def test_never_6_nor_is_a_credential_in_a_header_of_its_own_name(
    check: Callable[..., tuple[int, dict[str, Any]]], site: Site
) -> None:
    _decide_by(site, 'package envoy.authz\n\nresult if input.attributes.request.http.headers["x-shop"] != ""\n')
    settings = yaml.safe_load((site.folder / "ztag.yaml").read_text())
    settings["authentication"][0]["header"] = "x-shop"
    (site.folder / "ztag.yaml").write_text(yaml.safe_dump(settings))
    _, told = check("-H", f"x-shop: {site.token()}")
    assert told["decision"]["identity"]["subject"] == "ann"
    assert told["policies"][0]["reads"] == {"input.attributes.request.http.headers.x-shop": "[masked]"}


def _decide_by(site: Site, *policies: str, **options: Any) -> None:
    """Put policies in the place of the example's, each an authorizer of its own."""
    settings = yaml.safe_load((site.folder / "ztag.yaml").read_text())
    settings["authorization"] = []
    for number, policy in enumerate(policies):
        (site.folder / f"{number}.rego").write_text(policy)
        settings["authorization"].append({"kind": "rego", "policies": [f"{number}.rego"], **options})
    (site.folder / "ztag.yaml").write_text(yaml.safe_dump(settings))


COMPARING = """package envoy.authz

result := {"allowed": true, "headers": {"x-key": key}} if key == "right"

key := input.attributes.request.http.headers["x-api-key"]

default result := false
"""


@pytest.mark.parametrize("key", ["right", "s3cret-of-ann"])
def test_never_6_the_explanation_shows_values_only_on_demand(run: Callable[..., Result], site: Site, key: str) -> None:
    _decide_by(site, COMPARING)
    asked = ("check", "--config", site.config, "-H", f"x-api-key: {key}")
    shown = json.loads(run(*asked).stdout)["policies"][0]
    assert shown["reads"] == {"input.attributes.request.http.headers.x-api-key": "[masked]"}
    assert any("data.envoy.authz.key" in line for line in shown["explanation"])
    assert key not in str(shown).replace('key == "right"', "")  # the policy's own line may be shown
    assert key in str(json.loads(run(*asked, "--input").stdout)["policies"][0])


def test_never_6_nor_does_a_failing_policys_error(run: Callable[..., Result], site: Site) -> None:
    conflict = "package envoy.authz\n\nresult := value if some value in input.parsed_query.code\n"
    _decide_by(site, conflict)
    told = json.loads(run("check", "--config", site.config, "--path", "/?code=s3cret&code=s3cret2").stdout)
    explanation = "\n".join(told["policies"][0]["explanation"])
    assert "eval_conflict_error" in explanation
    assert "s3cret" not in explanation


def test_the_input_is_the_one_that_was_decided_on(check: Callable[..., tuple[int, dict[str, Any]]], site: Site) -> None:
    policy = (
        "package envoy.authz\n\nresult := input.parsed_body.a == 1 if input.parsed_body\n\ndefault result := false\n"
    )
    _decide_by(site, policy, skip_request_body_parse=True)
    asked = ("-X", "POST", "-H", "content-type: application/json", "-d", '{"a": 1}')
    code, told = check(*asked, "--input")
    assert code == 1
    assert "parsed_body" not in told["input"]
    assert told["policies"][0]["explanation"][-1] == "value: false"


def test_a_policy_that_was_not_asked_is_not_explained(
    check: Callable[..., tuple[int, dict[str, Any]]], site: Site
) -> None:
    _decide_by(site, "package envoy.authz\n\nresult := false\n", "package envoy.authz\n\nresult := true\n")
    _, told = check("--path", "/orders")
    assert [view["explanation"][-1] for view in told["policies"]] == ["value: false"]


ENDLESS = """package envoy.authz

result if count([1 | some a in many; some b in many; some c in many; a + b + c < 0]) > 0

many := numbers.range(1, 3000)
"""


@pytest.mark.timeout(60)
def test_neither_the_decision_nor_the_explanation_outlasts_the_timeout(
    check: Callable[..., tuple[int, dict[str, Any]]], site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ztag_extauthz.rego.builtins.interface.DEFAULT_SECONDS", 1e6)  # so nothing else ends it
    _decide_by(site, ENDLESS)
    code, told = check("--path", "/orders", "--timeout", "0.2")
    assert (code, told["envoy"]["grpcStatus"]) == (2, "DEADLINE_EXCEEDED")
    assert told["policies"][0]["explanation"][-1].startswith("error: eval_limit_error")


def test_a_configuration_in_place_of_a_request_is_told(run: Callable[..., Result], site: Site) -> None:
    result = run("check", site.config)
    assert result.exit_code == 2
    assert "FILE is a CheckRequest in JSON" in result.stderr


def test_a_missing_request_is_told_in_words(run: Callable[..., Result]) -> None:
    result = run("check", "nowhere.json")
    assert (result.exit_code, result.stderr) == (2, "nowhere.json: No such file or directory\n")


def test_a_header_without_a_colon_is_a_mistake(run: Callable[..., Result], site: Site) -> None:
    result = run("check", "--config", site.config, "-H", "nocolon")
    assert result.exit_code == 2
    assert "'nocolon' is no header" in result.stderr
