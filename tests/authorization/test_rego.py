from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.authorization.parts import FAR, verdict
from tests.envoy.checks import ALICE, check, request, run
from ztag_extauthz.authorization.rego import RegoSettings
from ztag_extauthz.component import Resources
from ztag_extauthz.errors import DeadlineError, EvaluationError, PolicyError
from ztag_extauthz.meter import Meter
from ztag_extauthz.model import Allow, Context, Deny, Reason
from ztag_extauthz.pipeline import failed


def resources(folder: Path) -> Resources:
    return Resources(folder, lambda: 1_700_000_000.0, Meter())


def settings(**options: Any) -> RegoSettings:
    return RegoSettings(kind="rego", policies=("policy",), **options)


def test_it_is_built_from_files(tmp_path: Path) -> None:
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy/a.rego").write_text("package envoy.authz\nresult if input.identity.subject == data.boss")
    (tmp_path / "policy/data.json").write_text('{"boss": "alice"}')
    rego = settings().build(resources(tmp_path))
    revision = rego.policy.version.revision
    assert revision != ""
    assert run(rego.authorize(Context(request(check()), ALICE), FAR)) == Allow(policy_revision=revision)
    (ready,) = rego.readiness()
    assert (ready.component, ready.ready, ready.updated_at) == ("policy envoy/authz/result", True, 1_700_000_000.0)


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("result", ["false", "true", '{"allowed": false}', '{"allowed": true}', "1"])
def test_every_answer_says_which_policies_gave_it(tmp_path: Path, result: str, dry_run: bool) -> None:  # noqa: FBT001
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy/a.rego").write_text(f"package envoy.authz\nresult := {result}")
    rego = settings(dry_run=dry_run).build(resources(tmp_path))
    try:
        found = run(rego.authorize(Context(request(check()), ALICE), FAR))
    except EvaluationError as error:
        found = failed(error, "")
    assert found.policy_revision == rego.policy.version.revision != ""


def test_what_cannot_be_built_names_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy/a.rego").write_text("package envoy.authz\nresult := {")
    with pytest.raises(PolicyError, match=r"^policies: policy/a\.rego:2:\d+: "):
        settings().build(resources(tmp_path))
    (tmp_path / "policy/a.rego").write_text("package envoy.authz\nresult := true")
    with pytest.raises(PolicyError, match=r"^proto_descriptor: none\.pb: "):
        settings(proto_descriptor="none.pb").build(resources(tmp_path))


@pytest.mark.parametrize("decision", ["", "/", "a b", 'a"b', "a[0]", "data"])
def test_a_decision_has_to_be_a_path(decision: str) -> None:
    with pytest.raises(ValidationError):
        settings(decision=decision)


def test_no_policies_are_a_mistake() -> None:
    with pytest.raises(ValidationError):
        RegoSettings(kind="rego", policies=())


def test_a_policy_decides() -> None:
    policy = 'default result := false\nresult if input.parsed_path[0] == "public"'
    assert verdict(policy, check("/public/a")) == Allow()
    assert verdict(policy, check("/admin")) == Deny(Reason.POLICY)


@pytest.mark.parametrize(
    "policy",
    [
        "result if input.missing",
        "result := null",
        'result := "true"',
        "result := 1",
        "result := {}",
        "result := to_number(input.x)",
        'result := {"allowed": "true"}',
        'result := {"allowed": true, "headers": {"a": "b\\nc"}}',
    ],
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_never_2_a_policy_without_an_answer_is_an_error_also_in_a_dry_run(policy: str, dry_run: bool) -> None:  # noqa: FBT001
    with pytest.raises(EvaluationError):
        verdict(policy, check(), dry_run=dry_run)


def test_a_dry_run_allows_and_remembers() -> None:
    policy = 'result := {"allowed": false, "http_status": 401, "headers": {"a": "b"}, "dynamic_metadata": {"k": "v"}}'
    found = verdict(policy, check(), dry_run=True)
    assert isinstance(found, Allow)
    assert found.metadata == {"k": "v"}
    assert found.request_headers == ()
    assert found.shadowed is not None
    assert found.shadowed.status == 401


def test_a_dry_run_leaves_an_allow_alone() -> None:
    found = verdict('result := {"allowed": true, "headers": {"a": "b"}}', check(), dry_run=True)
    assert found == Allow(request_headers=(("a", "b"),))


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize(
    "message",
    [check("/a?b=%zz"), check("/a?b;c"), check("/%zz"), check(headers={"content-type": "application/json"}, body="{")],
)
def test_a_request_that_cannot_be_parsed_is_denied_also_in_a_dry_run(message: Any, dry_run: bool) -> None:  # noqa: FBT001
    found = verdict("result if not input.parsed_body.x", message, dry_run=dry_run)
    assert isinstance(found, Deny)
    assert found.reason is Reason.MALFORMED_REQUEST
    assert found.body is not None
    assert found.body.startswith("request_parse_error: ")


def test_bodies_can_be_left_alone() -> None:
    message = check(headers={"content-type": "application/json"}, body="{")
    policy = "result if not input.parsed_body"
    assert verdict(policy, message, skip_request_body_parse=True) == Allow()


def test_a_deadline_that_is_over_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy/a.rego").write_text("package envoy.authz\nresult := true")
    rego = settings().build(resources(tmp_path))
    with pytest.raises(DeadlineError):
        run(rego.authorize(Context(request(check()), ALICE), 0.0))


def test_a_policy_may_only_ask_hosts_that_the_settings_name(tmp_path: Path) -> None:
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy/a.rego").write_text(
        'package envoy.authz\nresult if http.send({"method": "get", "url": "http://127.0.0.1:1/", '
        '"raise_error": false}).status_code == 0'
    )
    with pytest.raises(PolicyError, match=r"http\.send is not supported"):
        settings().build(resources(tmp_path))
    rego = settings(http_hosts=("127.0.0.1:1",)).build(resources(tmp_path))
    assert isinstance(run(rego.authorize(Context(request(check()), ALICE), FAR)), Allow)
    rego = settings(http_hosts=("127.0.0.1:2",)).build(resources(tmp_path))
    with pytest.raises(EvaluationError):
        run(rego.authorize(Context(request(check()), ALICE), FAR))


MALFORMED = check(headers={"content-type": "application/json"}, body="{")


@pytest.mark.parametrize(
    "condition",
    [
        "input.parsed_body.a == 1",
        "not input.parsed_body",
        "input.truncated_body",
        'input[concat("_", ["parsed", "body"])].a == 1',
        "some name; input[name] == 1",
        "json.marshal(input) == input.parsed_path[0]",
        "reads(input)",
        "walk(input, [_, 1])",
        'object.get(input, ["parsed_body", "a"], 0) == 1',
    ],
)
def test_a_malformed_body_is_refused_where_the_policy_can_read_it(condition: str) -> None:
    policy = f"default result := true\nresult := false if {{ {condition} }}\nreads(x) if x.parsed_body.a == 1"
    refusal = verdict(policy, MALFORMED)
    assert isinstance(refusal, Deny)
    assert refusal.reason is Reason.MALFORMED_REQUEST


@pytest.mark.parametrize(
    "condition", ["true", 'input.attributes.request.http.method == "GET"', "input.identity.subject"]
)
def test_a_body_is_left_alone_where_the_policy_cannot_read_it(condition: str) -> None:
    assert verdict(f"default result := false\nresult if {{ {condition} }}", MALFORMED) == Allow()
