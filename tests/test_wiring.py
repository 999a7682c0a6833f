"""Mistakes of what the settings name: all at once, each with its setting and line."""

import asyncio
import gc
import json
import time
from pathlib import Path

import pytest

from tests.envoy.checks import check, request
from ztag_extauthz.authorization.bundle import slices
from ztag_extauthz.component import Resources
from ztag_extauthz.errors import SettingsError
from ztag_extauthz.meter import Meter
from ztag_extauthz.settings import load
from ztag_extauthz.wiring import build

PUBLIC = {"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
SETTINGS = """\
authentication:
  - kind: jwt
    issuer: https://issuer.example
    audiences: [mesh]
    algorithms: [RS256]
    jwks: {file: keys.json}
  - kind: anonymous
authorization:
  - kind: rego
    policies: [policy/]
  - kind: rego
    policies: [a.rego]
    decision: envoy/authz/allow
  - {kind: rego, policies: [broken.rego]}
reporting:
  - kind: audit
    to: nowhere/audit.log
"""


def mistakes(folder: Path, text: str, **environment: str) -> list[str]:
    path = folder / "ztag.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as raised:
        build(load(path, environment), Resources(folder, time.time, Meter()))
    return [str(mistake).replace(f"{folder}/", "") for mistake in raised.value.mistakes]


def test_mistakes_of_all_sections_come_together_each_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.rego").write_text("package a\n\nx := true\n")
    (tmp_path / "broken.rego").write_text("package b\n\nx := {\n")
    keys, missing, undefined, broken, log = mistakes(tmp_path, SETTINGS)
    assert keys.startswith("ztag.yaml:6: authentication[0].jwks.file: keys.json: cannot be read: No such file")
    assert missing == "ztag.yaml:10: authorization[0].policies: policy/: does not exist"
    assert undefined.startswith("ztag.yaml:13: authorization[1].decision: no rule defines envoy/authz/allow")
    assert broken.startswith("ztag.yaml:14: authorization[2].policies: broken.rego:4:")
    assert log.startswith("ztag.yaml:17: reporting[0].to: nowhere/audit.log: cannot be written: No such file")


def test_what_is_left_out_stands_where_it_would_be_added(tmp_path: Path) -> None:
    (tmp_path / "a.rego").write_text("package a\n\nx := true\n")
    text = "authentication: [{kind: anonymous}]\nauthorization:\n  - kind: rego\n    policies: [a.rego]\n"
    (mistake,) = mistakes(tmp_path, text)
    assert mistake == (
        "ztag.yaml:3: authorization[0].decision: no rule defines envoy/authz/result"
        " (it is asked for where no decision is named; rules: a/x)"
    )


def test_a_mistake_of_the_environment_names_its_variable(tmp_path: Path) -> None:
    text = "authentication: [{kind: anonymous}]\n"
    value = '[{"kind": "rego", "policies": ["none.rego"]}]'
    (mistake,) = mistakes(tmp_path, text, ZTAG_AUTHORIZATION=value)
    assert mistake.startswith("ZTAG_AUTHORIZATION: authorization[0].policies: none.rego: cannot be read: No such file")


def test_never_6_reporters_know_the_headers_that_hold_credentials(tmp_path: Path) -> None:
    (tmp_path / "a.rego").write_text("package envoy.authz\n\nresult := true\n")
    (tmp_path / "secret").write_text("s" * 44)
    (tmp_path / "keys").touch()
    (tmp_path / "ztag.yaml").write_text(
        "authentication: [{kind: api_key, header: x-partner, secret_file: secret, file: keys}]\n"
        "authorization: [{kind: rego, policies: [a.rego]}]\n"
        "reporting: [{kind: audit, to: audit.log, include_headers: [x-partner]}]\n"
    )
    gateway = build(load(tmp_path / "ztag.yaml", {}), Resources(tmp_path, time.time, Meter()))
    asked = request(check(headers={"x-partner": "zk_s3cret"}))

    async def run() -> None:
        await gateway.start()
        gateway.pipeline.report(asked, await gateway.pipeline.decide(asked, time.monotonic() + 20))
        await gateway.close()

    asyncio.run(run())
    line = (tmp_path / "audit.log").read_text()
    assert '"x-partner":"[masked]"' in line
    assert "s3cret" not in line


def test_a_document_that_would_be_cut_off_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "a.rego").write_text("package envoy.authz\n\nresult := true\n")
    text = (
        "authentication: [{kind: anonymous}]\nauthorization: [{kind: rego, policies: [a.rego]}]\n"
        "protected_resources: [{resource: 'https://api.example'}]\nresponse: {max_body_bytes: 20}\n"
    )
    (mistake,) = mistakes(tmp_path, text)
    assert mistake.startswith("ztag.yaml:3: protected_resources: a document has ")


REDIS = {
    "authentication": "authentication: [{kind: api_key, secret_file: secret, redis: FOLDER}]\n",
    "authorization": "authorization: [{kind: quota, redis: FOLDER, limits: [LIMIT]}]\n",
    "revocation": "revocation: {redis: FOLDER, secret: an example that is long enough to be one}\n",
    "admission": "admission: {rate_limit: {redis: FOLDER, limits: [LIMIT]}}\n",
}


@pytest.mark.parametrize("section", REDIS)
def test_a_folder_that_does_not_say_where_redis_is_is_a_mistake_in_every_section(section: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("an example that is long enough to be one")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "a.rego").write_text("package envoy.authz\n\ndefault result := true\n")
    rego = "{kind: rego, policies: [a.rego]}"
    parts = {
        "authentication": "authentication: [{kind: anonymous}]\n",
        "authorization": f"authorization: [{rego}]\n",
        section: REDIS[section]
        .replace("FOLDER", "{folder: /nowhere}")
        .replace("LIMIT", "{name: a, limit: 1/second, by: [path]}")
        .replace("[{kind: quota", f"[{rego}, {{kind: quota"),
    }
    (mistake,) = mistakes(tmp_path, "".join(parts.values()))
    assert f" {section}" in mistake
    assert "/nowhere/url: cannot be read: No such file or directory (redis.folder holds a file `url`" in mistake


def test_a_redis_that_is_down_is_told_at_the_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.rego").write_text("package envoy.authz\n\nresult := true\n")
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [PUBLIC]}))
    (tmp_path / "secret").write_text("s" * 44)
    redis = {"url": "redis://127.0.0.1:1"}
    limit = {"name": "n", "limit": "1/second", "by": ["host"]}
    place = {"name": "p", "limit": 1, "by": ["subject"]}
    dpop = {"algorithms": ["ES256"], "redis": redis}
    issuer = {"issuer": "https://issuer.example", "audiences": ["mesh"], "algorithms": ["EdDSA"], "dpop": dpop}
    settings = {
        "admission": {"rate_limit": {"limits": [limit], "redis": redis}},
        "authentication": [
            {"kind": "jwt", "jwks": {"file": "keys.json"}, **issuer},
            {"kind": "api_key", "secret_file": "secret", "redis": redis},
        ],
        "authorization": [
            {"kind": "quota", "limits": [limit], "concurrent": [place], "redis": redis},
            {"kind": "rego", "policies": ["a.rego"]},
        ],
    }
    (tmp_path / "ztag.yaml").write_text(json.dumps(settings))
    gateway = build(load(tmp_path / "ztag.yaml", {}), Resources(tmp_path, time.time, Meter()))
    limits = {f"limits of {name}" for name in ("admission", "authorization", "concurrency")}

    async def started() -> None:
        await gateway.start()
        await asyncio.wait([task for task in asyncio.all_tasks() if task.get_name() == "redis"])
        await gateway.close()

    with caplog.at_level("WARNING", "ztag.redis"):
        asyncio.run(started())
    told = [record.getMessage() for record in caplog.records if record.name == "ztag.redis"]
    assert {line.partition(": redis at 127.0.0.1:1: ConnectionError: ")[0] for line in told} == {
        *limits,
        "DPoP proofs",
        "API keys",
    }
    assert all(line.endswith(" (start it, or correct redis.url)") for line in told)


@pytest.mark.parametrize("kind", ["rego", "profiles"])
def test_released_data_is_left_to_no_garbage_collector(tmp_path: Path, kind: str) -> None:
    """It would stop the worker while it looks through all of it."""
    (tmp_path / "a.rego").write_text("package envoy.authz\n\nresult if data.roles[input.identity.subject][_]\n")
    (tmp_path / "data.json").write_text(json.dumps({"roles": {name: ["marked", name] for name in "abc"}}))
    rego = {"kind": "rego", "policies": ["a.rego", "data.json"]}
    entry = {"rego": rego, "profiles": {"kind": kind, "profiles": [{"name": "p", "policy": rego}], "default": "p"}}[
        kind
    ]
    settings = {"authentication": [{"kind": "anonymous"}], "authorization": [entry]}
    (tmp_path / "ztag.yaml").write_text(json.dumps(settings))
    gateway = build(load(tmp_path / "ztag.yaml", {}), Resources(tmp_path, time.time, Meter()))

    async def run() -> None:
        await gateway.start()
        await gateway.close()

    asyncio.run(run())
    gc.collect()
    gc.disable()
    try:
        assert _marked() == 3
        slices.free(gateway.release())
        assert _marked() == 0
    finally:
        gc.enable()


def _marked() -> int:
    return sum(1 for each in gc.get_objects() if type(each) is list and each[:1] == ["marked"])
