"""`ztag replay`: who would newly be allowed or denied, and exit codes that a pipeline can use."""

import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import Result

from tests.cli.conftest import Site
from tests.living_page import RECORDING
from tests.rego_page import ROOT
from ztag_extauthz.reporting.recorded import Key, Recorded, read, to_line

POLICY = str(ROOT / "policy/envoy")
RECORDED = list(read(RECORDING.read_text().splitlines(), None))


def changed(folder: Path, before: str, after: str) -> str:
    text = (ROOT / "policy/envoy/authz.rego").read_text()
    assert before in text
    (folder / "changed.rego").write_text(text.replace(before, after))
    return str(folder / "changed.rego")


def recording(folder: Path, *lines: Recorded) -> str:
    (folder / "requests.jsonl").write_bytes(b"".join(to_line(line, None) for line in lines))
    return str(folder / "requests.jsonl")


def test_the_policy_in_force_changes_nothing(run: Callable[..., Result]) -> None:
    result = run("replay", str(RECORDING), "--policy", POLICY)
    assert (result.exit_code, result.stdout) == (0, "9 replayed: 9 as before\n")


def test_a_change_is_told_with_subject_path_and_rule(run: Callable[..., Result], tmp_path: Path) -> None:
    policy = changed(tmp_path, "<= 1000", "<= 100")
    result = run("replay", str(RECORDING), "--policy", policy, "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["recorded"], told["replayed"]) == (9, 9)
    (change,) = told["changes"]
    rule = change.pop("rule")
    assert rule.startswith(f"{policy}:")
    assert change == {
        "id": RECORDED[3].id,
        "subject": "ann",
        "method": "POST",
        "path": "/orders",
        "before": "allow",
        "after": "deny",
    }


def test_a_policy_without_an_answer_is_told(run: Callable[..., Result], tmp_path: Path) -> None:
    policy = changed(tmp_path, '"allowed": true', '"allowed": "yes"')
    result = run("replay", str(RECORDING), "--policy", policy)
    assert result.exit_code == 1
    assert "6 without an answer now" in result.stdout


def test_a_rule_that_the_policy_names_is_told(run: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "named.rego").write_text(
        'package envoy.authz\n\nresult := {"allowed": false, "dynamic_metadata": {"rule": "nobody"}}\n'
    )
    result = run("replay", str(RECORDING), "--policy", str(tmp_path / "named.rego"), "--json")
    assert {change["rule"] for change in json.loads(result.stdout)["changes"]} == {"nobody"}


def test_a_configurations_policies_are_asked(run: Callable[..., Result], site: Site) -> None:
    result = run("replay", str(RECORDING), "--config", site.config)
    assert (result.exit_code, result.stdout) == (0, "9 replayed: 9 as before\n")


def _entry(decision: str) -> dict[str, Any]:
    return {"kind": "rego", "policies": ["shop.rego"], "decision": decision}


@pytest.mark.parametrize(
    ("entries", "arguments", "told"),
    [
        ([_entry("shop/allow")], [], "9 replayed"),
        ([_entry("shop/allow"), _entry("shop/may")], ["--decision", "shop/allow"], "9 replayed"),
        (
            [_entry("shop/allow"), _entry("shop/may")],
            [],
            "the configuration asks for shop/allow, shop/may: name one by --decision",
        ),
    ],
)
def test_another_policy_is_asked_for_the_configurations_decision(
    run: Callable[..., Result], tmp_path: Path, entries: list[Any], arguments: list[str], told: str
) -> None:
    policy = tmp_path / "shop.rego"
    policy.write_text("package shop\n\nallow if true\n\nmay if true\n")
    (tmp_path / "ztag.yaml").write_text(
        json.dumps({"authentication": [{"kind": "anonymous"}], "authorization": entries})
    )
    config = str(tmp_path / "ztag.yaml")
    result = run("replay", str(RECORDING), "--config", config, "--policy", str(policy), *arguments)
    assert told in result.output


def test_what_no_policy_refused_is_left_out(run: Callable[..., Result], tmp_path: Path) -> None:
    limited = msgspec.structs.replace(RECORDED[0], outcome="deny", reason="rate_limited")
    result = run("replay", recording(tmp_path, limited, RECORDED[1]), "--policy", POLICY)
    assert result.exit_code == 0
    assert result.stdout == "1 replayed: 1 as before, 1 left out (refused by limits, risk or a failure)\n"


def test_what_was_not_recorded_is_warned_of(run: Callable[..., Result], tmp_path: Path) -> None:
    result = run("replay", recording(tmp_path, RECORDED[0]), "--policy", POLICY)
    assert result.stderr.splitlines() == [
        "warning: envoy/authz/result reads the body, which was not recorded (include_body)",
        "warning: envoy/authz/result reads the query, which was not recorded (include_query)",
    ]


def test_an_encrypted_recording_needs_its_key(run: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b64encode(b"k" * 32))
    (tmp_path / "sealed.jsonl").write_bytes(to_line(RECORDED[0], Key(b"k" * 32)))
    asked = ("replay", str(tmp_path / "sealed.jsonl"), "--policy", POLICY)
    assert run(*asked).exit_code == 2
    assert run(*asked, "--key-file", str(tmp_path / "key")).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["none.jsonl", "--policy", POLICY], "none.jsonl: No such file or directory\n"),
        ([str(RECORDING), "--policy", "none.rego"], "policies: none.rego: cannot be read: No such file or directory"),
    ],
)
def test_what_cannot_be_read_exits_with_2(run: Callable[..., Result], arguments: list[str], told: str) -> None:
    result = run("replay", *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith(told)


def test_a_terminal_never_obeys_a_recording(run: Callable[..., Result], tmp_path: Path) -> None:
    request: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(RECORDED[0].request))
    request["attributes"]["request"]["http"]["method"] = "\x1b[2J"
    nasty = msgspec.structs.replace(RECORDED[0], request=request)
    assert "\x1b" not in run("replay", recording(tmp_path, nasty), "--policy", POLICY).output


def test_profiles_choose_as_the_server_does(run: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "no.rego").write_text("package envoy.authz\n\nresult := false\n")
    profiles = [
        {"name": "admin", "when": {"paths": ["/admin/*"]}, "policy": {"kind": "rego", "policies": ["no.rego"]}},
        {"name": "shop", "policy": {"kind": "rego", "policies": [POLICY]}},
    ]
    entry = {"kind": "profiles", "profiles": profiles, "default": "shop"}
    config = {"authentication": [{"kind": "anonymous"}], "authorization": [entry]}
    (tmp_path / "ztag.yaml").write_text(json.dumps(config))
    result = run("replay", str(RECORDING), "--config", str(tmp_path / "ztag.yaml"), "--json")
    assert result.exit_code == 1
    (change,) = json.loads(result.stdout)["changes"]
    assert (change["subject"], change["path"], change["after"]) == ("eve", "/admin/users", "deny")
